"""A judge in the training of what edits: it reads the class that was asked for and nothing else anew.

It sees faces moved, mirrored and degraded at random, so that it is convinced rather than fooled. It neither scores nor
calibrates.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from visagist.attributes import changes_with
from visagist.errors import VisagistError
from visagist.judges.augmentation import degrade
from visagist.judges.judge import JUDGES, Judge, load_judge
from visagist.pixels import resize

SURE = 2.5  # logits beyond which a class is clear: going on would only fool the teacher


def load_teacher(name: str, attributes: Sequence[str], device: str) -> Judge:
    """The judge of this name; VisagistError for one that scores or calibrates, or does not know these attributes."""
    if name in JUDGES:
        raise VisagistError(f"the teacher is {name}, which judges edits: train with another, such as teacher-64")
    teacher = load_judge(name, device)
    unknown = [attribute for attribute in attributes if attribute not in teacher.attributes]
    if unknown:
        raise VisagistError(f"the teacher {name} does not read {unknown[0]}: leave it out, or take another")
    teacher.model.requires_grad_(False)
    return teacher


def teaching_losses(
    teacher: Judge, before: Tensor, after: Tensor, attributes: Sequence[str], toward: Tensor
) -> tuple[Tensor, Tensor]:
    """How far readings of edited faces [B, 3, S, S] are from the class asked for, and from those before in all else.

    `attributes` and classes `toward` are those of each face. What changes with an attribute by nature is not counted.
    """
    both = resize(torch.cat([before, after]), teacher.image_size)
    if torch.rand(()) < 0.5:
        both = both.roll((int(torch.randint(-2, 3, ())), int(torch.randint(-2, 3, ()))), (2, 3))
    if torch.rand(()) < 0.5:
        both = both.flip(3)
    both = degrade(both, 0.5, parts=1)
    logits = teacher.model.networks()["classifier"](both.contiguous(memory_format=torch.channels_last)).float()
    was, now = logits.chunk(2)
    rows = torch.arange(len(attributes))
    signed = now[rows, torch.tensor([teacher.attributes.index(name) for name in attributes])] * (2 * toward - 1)
    kept = torch.ones_like(now)
    for row, attribute in enumerate(attributes):
        kept[row, [k for k, name in enumerate(teacher.attributes) if name in changes_with(attribute)]] = 0
    moved = (now.sigmoid() - was.sigmoid().detach()).abs()
    return F.relu(SURE - signed).mean(), (moved * kept).sum() / (kept.sum() + 1e-6)
