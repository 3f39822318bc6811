"""What a refiner learns from and paints after: the reconstructions and edits of a shipped editor, as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from visagist.errors import VisagistError
from visagist.latent.backend import Backend
from visagist.pixels import resize


class Amounts(Protocol):
    """A strength map, as `visagist.editing.strength.StrengthMap` is one."""

    def amount(self, strength: float) -> float: ...


class GuideEditor(Protocol):
    """What a guide asks of `visagist.editing.editor.Editor`."""

    name: str

    @property
    def attributes(self) -> tuple[str, ...]: ...
    @property
    def image_size(self) -> int: ...
    @property
    def backend(self) -> Backend: ...
    @property
    def strength_maps(self) -> Mapping[str, Mapping[str, Amounts]]: ...


class Guides:
    """Editors by attribute: the first of `editors` that knows an attribute edits it. VisagistError where none does."""

    def __init__(self, editors: Sequence[GuideEditor], attributes: Sequence[str]) -> None:
        self.attributes = tuple(attributes)
        self.by_attribute: dict[str, GuideEditor] = {}
        for name in attributes:
            known = [editor for editor in editors if name in editor.attributes]
            if not known:
                raise VisagistError(f"no guide edits {name}: name a model that does, or leave the attribute out")
            self.by_attribute[name] = known[0]

    @torch.no_grad()
    def pairs(self, images: Tensor, index: Sequence[int], toward: Tensor, strength: float) -> tuple[Tensor, Tensor]:
        """Reconstructions and edits of images [B, 3, S, S], both of that size.

        Face i is edited in attribute `index[i]` toward class `toward[i]` (0 or 1), at this |strength|.
        """
        side = images.shape[-1]
        rebuilt, edited = torch.empty_like(images), torch.empty_like(images)
        editors = [self.by_attribute[self.attributes[i]] for i in index]
        for editor in {id(e): e for e in editors}.values():
            rows = torch.tensor([row for row, other in enumerate(editors) if other is editor])
            target = torch.zeros(len(rows), len(editor.attributes))
            amount = torch.zeros_like(target)
            for k, row in enumerate(rows.tolist()):
                name = self.attributes[index[row]]
                column, class_ = editor.attributes.index(name), float(toward[row])
                target[k, column] = class_
                amount[k, column] = editor.strength_maps[name]["+1" if class_ else "-1"].amount(strength)
            x = resize(images[rows], editor.image_size).contiguous(memory_format=torch.channels_last)
            with torch.autocast(images.device.type, enabled=False):
                changed, plain = editor.backend.edit(x, [(target, amount), None])
            edited[rows], rebuilt[rows] = resize(changed, side), resize(plain, side)
        return rebuilt, edited
