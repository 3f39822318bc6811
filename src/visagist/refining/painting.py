"""Edits painted anew by a refiner, one attribute after the other, over tensors of torch or arrays of numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np

from visagist.runtime.arrays import Floats, is_tensor, like, to_floats
from visagist.runtime.resizing import resize_arrays

WHOLLY_PAINTED = 0.5  # |strength| from which on the refiner's pixels stand alone; below, they are blended with the face's
EditAndReconstruct = Callable[[Any, str, float], Sequence[Any]]  # images, attribute and strength to both pictures


class Painter(Protocol):
    """A refiner of either library: `take` makes faces what `repaint` takes, tensors on a device or arrays."""

    def take(self, images: Any, device: Any) -> Any: ...
    def repaint(self, x: Any, attribute: str, toward: float, edited: Any, rebuilt: Any) -> Any: ...


def blend_of(strength: float) -> float:
    """The refiner's share of the pixels at a strength."""
    return min(1.0, abs(strength) / WHOLLY_PAINTED)


def paint_edits(
    painter: Painter, images: Any, strengths: Mapping[str, float], edit: EditAndReconstruct, side: int, device: Any
) -> tuple[Floats, list[float]]:
    """Faces of the refiner's size, edited by `edit` at the model's own `side`, and the errors of rebuilding them.

    A face and its mirror image are painted alike: the one that is lighter on the left is mirrored.
    """
    x = painter.take(images, device)
    with _without_gradients(x):
        across = like(np.linspace(-1, 1, x.shape[-1], dtype=np.float32), x)
        mirrored = ((x.mean((1, 2)) * across).sum(1) < 0)[:, None, None, None]
        x = _laid_out(_mirror(x, mirrored))
        errors: list[float] = []
        for name, strength in strengths.items():
            small = _laid_out(_resize(x, side))
            edited, rebuilt = edit(small, name, strength)
            errors = errors or ((rebuilt - small) ** 2).mean((1, 2, 3)).tolist()
            painted, share = painter.repaint(x, name, float(strength > 0), edited, rebuilt), blend_of(strength)
            x = painted if share == 1 else x + share * (painted - x)
        return to_floats(_mirror(x, mirrored)), errors


def _mirror(x: Any, which: Any) -> Any:
    """Images [B, 3, S, S], those that `which` [B, 1, 1, 1] names as in a mirror."""
    return which * (x.flip(3) if is_tensor(x) else x[..., ::-1]) + ~which * x


def _laid_out(x: Any) -> Any:
    """Images as the library's networks read them quickest."""
    if not is_tensor(x):
        return np.ascontiguousarray(x)
    import torch

    return x.contiguous(memory_format=torch.channels_last)


def _resize(x: Any, side: int) -> Any:
    if not is_tensor(x):
        return resize_arrays(x, side)
    from visagist.pixels import resize

    return resize(x, side)


def _without_gradients(x: Any) -> AbstractContextManager[object]:
    if not is_tensor(x):
        return nullcontext()
    import torch

    return torch.inference_mode()
