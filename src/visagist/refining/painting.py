"""Edits painted anew by a refiner, one attribute after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from visagist.refining.guides import resize
from visagist.refining.refiner import Refiner
from visagist.runtime.arrays import Floats, is_tensor, to_floats

WHOLLY_PAINTED = 0.5  # |strength| from which on the refiner's pixels stand alone; below, they are blended with the face's
EditAndReconstruct = Callable[[Any, str, float], Sequence[Any]]  # images, attribute and strength to both pictures


@torch.inference_mode()
def paint_edits(
    refiner: Refiner, images: Any, strengths: Mapping[str, float], edit: EditAndReconstruct, side: int, device: Any
) -> tuple[Floats, list[float]]:
    """Faces of the refiner's size, edited by `edit` at the model's own `side`, and the errors of rebuilding them.

    A face and its mirror image are painted alike: the one that is lighter on the left is mirrored.
    """
    x = (images if is_tensor(images) else torch.from_numpy(images)).to(device)
    across = torch.linspace(-1, 1, x.shape[-1], device=x.device)
    mirrored = ((x.mean((1, 2)) * across).sum(1) < 0)[:, None, None, None]
    x = torch.where(mirrored, x.flip(3), x).contiguous(memory_format=torch.channels_last)
    errors: list[float] = []
    for name, strength in strengths.items():
        small = resize(x, side).contiguous(memory_format=torch.channels_last)
        edited, rebuilt = edit(small, name, strength)
        errors = errors or (rebuilt - small).square().mean((1, 2, 3)).tolist()
        painted = refiner.repaint(x, name, float(strength > 0), edited, rebuilt)
        x = torch.lerp(x, painted, min(1.0, abs(strength) / WHOLLY_PAINTED))
    return to_floats(torch.where(mirrored, x.flip(3), x)), errors
