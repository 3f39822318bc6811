"""Convert colours between a photograph's own profile and sRGB, which models use."""

from __future__ import annotations

import importlib
import io
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from visagist.errors import VisagistError

Pixels = NDArray[Any]
_RELATIVE = ImageCms.Intent.RELATIVE_COLORIMETRIC
TINT = 8  # levels between the channels, up to which a pixel shows no colour
COLOURED = 0.001  # the share of pixels that may show more in a grey picture
AT_ONCE = 1 << 16  # pixels to which a change is added at a time, so that what is between fits into a processor's cache
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's L
# Another maker's sRGB differs by a level or two; taking it as sRGB leaves the pixels alone.
_SRGB_TOLERANCE = 2


def differs_from_srgb(icc: bytes, grey: bool) -> bool:
    """Whether this profile's colours differ from sRGB's; raises ImageCms.PyCMSError where it cannot be used."""
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    if grey:
        own, plain = steps[:, None], np.repeat(steps[:, None], 3, 1)
    else:
        own = plain = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    space = ColourSpace(icc)
    space.from_srgb(plain[None], grey)  # a profile for input only has no way back
    srgb = space.to_srgb(own[None])[0]
    return bool(np.abs(srgb.astype(int) - plain).max() > _SRGB_TOLERANCE)


def add_detail(pixels: Pixels, detail: NDArray[np.float32]) -> None:
    """Add a change [H, W, C], in shares of their range, to uint8 or uint16 pixels [H, W, C]: rounded, clipped, in place."""
    most = np.float32(np.iinfo(pixels.dtype).max)
    rows = max(AT_ONCE // pixels.shape[1], 1)
    for top in range(0, len(pixels), rows):
        part = pixels[top : top + rows]
        sums = detail[top : top + rows] * most
        sums += part
        np.rint(sums, out=sums)
        part[:] = np.clip(sums, 0, most, out=sums)


@dataclass(frozen=True)
class ColourSpace:
    """The colours of RGB [H, W, 3] or grey [H, W, 1] pixels, uint8 or uint16; without a profile they are sRGB's."""

    icc: bytes | None = None

    def to_srgb(self, pixels: Pixels) -> NDArray[np.uint8]:
        """Pixels as sRGB, uint8 [H, W, 3]."""
        if self.icc is None:
            plain = pixels if pixels.dtype == np.uint8 else np.rint(pixels / 257).astype(np.uint8)
            return np.ascontiguousarray(np.repeat(plain, 3, 2) if plain.shape[2] == 1 else plain)
        if pixels.dtype != np.uint8:
            return np.rint(self._convert_deep(pixels, self.icc, self._srgb) / 257).astype(np.uint8)
        return self._convert(pixels, self.icc, self._srgb, "RGB")

    def add_detail(self, pixels: Pixels, detail: NDArray[np.float32]) -> None:
        """Add a change [H, W, 3], given in sRGB, to pixels of this space, in place; they stay as they are where it is 0."""
        if pixels.shape[2] == 1:
            detail = grey_detail(detail)
        if self.icc is None:
            add_detail(pixels, detail[..., : pixels.shape[2]])
        else:
            add_detail(pixels, self._detail_in_space(pixels, detail) * np.any(detail != 0, axis=2, keepdims=True))

    def from_srgb(self, srgb: NDArray[np.uint8], grey: bool = False) -> NDArray[np.uint8]:
        """sRGB pixels in this space."""
        assert self.icc is not None
        return self._convert(srgb, self._srgb, self.icc, "L" if grey else "RGB")

    def _detail_in_space(self, pixels: Pixels, detail: NDArray[np.float32]) -> NDArray[Any]:
        """The change in units of this space: the difference of two ways back, so that their error goes."""
        assert self.icc is not None
        grey = pixels.shape[2] == 1
        if pixels.dtype == np.uint8:
            srgb = self.to_srgb(pixels)
            edited = np.rint(np.clip(srgb + detail * 255, 0, 255)).astype(np.uint8)
            return (self.from_srgb(edited, grey).astype(np.float32) - self.from_srgb(srgb, grey)) / 255
        deep = self._convert_deep(pixels, self.icc, self._srgb)
        deep_edited = np.rint(np.clip(deep + detail * 65535, 0, 65535)).astype(np.uint16)
        space = "gray" if grey else "rgb"
        ways = [self._convert_deep(v, self._srgb, self.icc, space).astype(np.float32) for v in (deep_edited, deep)]
        return (ways[0] - ways[1]).reshape(pixels.shape) / 65535

    @cached_property
    def _srgb(self) -> bytes:
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    @staticmethod
    def _convert(pixels: Pixels, source: bytes, target: bytes, mode: str) -> NDArray[np.uint8]:
        picture = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
        here, there = (ImageCms.ImageCmsProfile(io.BytesIO(icc)) for icc in (source, target))
        converted = ImageCms.profileToProfile(picture, here, there, renderingIntent=_RELATIVE, outputMode=mode)
        assert converted is not None
        array = np.asarray(converted)
        return array[..., None] if array.ndim == 2 else array

    @staticmethod
    def _convert_deep(pixels: Pixels, source: bytes, target: bytes, space: str = "rgb") -> NDArray[np.uint16]:
        grey = pixels.shape[2] == 1
        given = np.ascontiguousarray(pixels[..., 0] if grey else pixels)
        return np.asarray(
            deep_codecs().cms_transform(
                given, source, target, colorspace="gray" if grey else "rgb", outcolorspace=space, outdtype="uint16",
                intent=int(_RELATIVE),
            )
        )  # fmt: skip


def is_grey(pixels: NDArray[np.uint8]) -> bool:
    """Whether sRGB pixels [H, W, 3] show no colour but for a tint that a scan or a codec leaves."""
    sample = pixels[:: max(1, pixels.shape[0] // 256), :: max(1, pixels.shape[1] // 256)]
    red, green, blue = (np.ascontiguousarray(sample[..., channel]) for channel in range(3))
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return float(np.mean(spread > TINT)) <= COLOURED


def grey_detail(detail: NDArray[np.float32]) -> NDArray[np.float32]:
    """A change [H, W, 3] as a change of lightness alone."""
    return np.repeat((detail @ GREY)[..., None], 3, 2)


def deep_codecs() -> Any:
    """imagecodecs; VisagistError where it is not installed."""
    try:
        return importlib.import_module("imagecodecs")
    except ImportError as error:
        raise VisagistError(
            "16 bits a channel need imagecodecs and tifffile: pip install visagist[deep], or convert the picture to 8 bits"
        ) from error


def cmyk_to_rgb(picture: Image.Image, icc: bytes | None) -> Image.Image:
    """A CMYK or Lab picture as sRGB, by its profile where it has one that can be used."""
    if icc:
        try:
            own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(picture, own, srgb, renderingIntent=_RELATIVE, outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # a profile of another kind, or a damaged one: the plain formula is all that is left
    return picture.convert("RGB")
