"""Edits painted anew by a refiner, one attribute after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from visagist.runtime.arrays import Floats, is_tensor, to_floats

if TYPE_CHECKING:
    from visagist.refining.refiner import Refiner

WHOLLY_PAINTED = 0.5  # |strength| from which on the refiner's pixels stand alone; below, they are blended with the face's
EditAndReconstruct = Callable[[Any, str, float], Sequence[Any]]  # images, attribute and strength to both pictures


def blend_of(strength: float) -> float:
    """The refiner's share of the pixels at a strength."""
    return min(1.0, abs(strength) / WHOLLY_PAINTED)


def paint_edits(
    refiner: Refiner, images: Any, strengths: Mapping[str, float], edit: EditAndReconstruct, side: int, device: Any
) -> tuple[Floats, list[float]]:
    """Faces of the refiner's size, edited by `edit` at the model's own `side`, and the errors of rebuilding them.

    A face and its mirror image are painted alike: the one that is lighter on the left is mirrored.
    """
    import torch

    from visagist.refining.guides import resize

    with torch.inference_mode():
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
            x = torch.lerp(x, painted, blend_of(strength))
        return to_floats(torch.where(mirrored, x.flip(3), x)), errors
