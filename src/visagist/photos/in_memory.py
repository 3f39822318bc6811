"""Photographs that a program holds: bytes, open files, arrays and tensors of every usual form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.errors import VisagistError

if TYPE_CHECKING:
    from torch import Tensor

FORMS = (
    "a path, bytes, an open file, a PIL image, an array [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] of uint8 or of floats in "
    "[0, 1], or a tensor [3, H, W] or [1, H, W] of them"
)
_ROUNDING = 1e-3  # by which floats may leave [0, 1]


def bytes_of(photo: Any) -> bytes:
    """The bytes of a photograph's file that is given as bytes or open; VisagistError for anything else."""
    if isinstance(photo, (bytes, bytearray, memoryview)):
        return bytes(photo)
    if not hasattr(photo, "read"):
        raise VisagistError(f"a photograph is {FORMS}; got a {type(photo).__name__}")
    data = photo.read()
    if not isinstance(data, bytes):
        raise VisagistError(f"the file gives {type(data).__name__}, not bytes: open it with mode 'rb'")
    return data


def picture_of_array(pixels: NDArray[Any] | Tensor) -> Image.Image:
    """A picture of grey, RGB or RGBA pixels, uint8 or floats in [0, 1]: an array [H, W, C] or [H, W], a tensor [C, H, W].

    VisagistError for other forms, other types and values beyond the range.
    """
    is_array = isinstance(pixels, np.ndarray)
    values = pixels if isinstance(pixels, np.ndarray) else pixels.detach().cpu().float().numpy() * _unit(pixels)
    if not is_array and values.ndim == 3:
        values = np.moveaxis(values, 0, -1)
    channels = 1 if values.ndim == 2 else values.shape[-1] if values.ndim == 3 else 0
    if channels not in (1, 3, 4) or 0 in values.shape:
        got = f"{'an array' if is_array else 'a tensor'} {list(pixels.shape)} of {pixels.dtype}"
        raise VisagistError(f"a photograph is {FORMS}; got {got}")
    values = values[..., 0] if values.ndim == 3 and channels == 1 else values
    if values.dtype == np.uint8:
        return Image.fromarray(np.ascontiguousarray(values))
    if values.dtype == bool or not np.issubdtype(values.dtype, np.floating):
        raise VisagistError(f"pixels of {values.dtype} have no known range: give uint8, or floats in [0, 1]")
    low, high = float(values.min()), float(values.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):
        raise VisagistError(f"floats of pixels are in [0, 1], got {low:.3g} to {high:.3g}: divide by 255, or give uint8")
    return Image.fromarray(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8))


def _unit(pixels: Tensor) -> float:
    """What brings a tensor's values into [0, 1]: those of uint8 end at 255."""
    return 1.0 if pixels.is_floating_point() else 1 / 255
