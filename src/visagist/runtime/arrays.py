"""Arrays of numpy and tensors of torch, told apart without importing torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visagist.boundary.loaded import loaded_module

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import TypeIs

Floats = NDArray[np.float32]


class Code(NamedTuple):
    """A latent code: z [B, Z] posterior means, y [B, A] attribute values in [0, 1] or None where z holds everything."""

    z: Any
    y: Any | None = None


def is_tensor(value: Any) -> TypeIs[Tensor]:
    """Whether this is a tensor of torch."""
    torch = loaded_module("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def to_floats(value: Any) -> Floats:
    """An array or tensor as a float32 array in the memory of the processor, contiguous."""
    if is_tensor(value):
        value = value.detach().cpu().float().numpy()
    return np.ascontiguousarray(value, np.float32)


def like(values: Floats, other: Any) -> Any:
    """The values as what `other` is: an array, or a tensor on its device."""
    if not is_tensor(other):
        return values
    import torch

    return torch.from_numpy(np.array(values, order="C")).to(other.device)
