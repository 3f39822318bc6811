"""What methods share that edit a picture in one attribute after the other, each by a pass of the network."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from visagist.methods.base import Method


class StepwiseMethod(Method):
    """Edits pictures and no codes. Subclasses have `edit_one`."""

    capabilities = frozenset({"edit"})

    @abstractmethod
    def edit_one(self, images: Tensor, attribute: Tensor, toward: Tensor, amount: Tensor) -> Tensor:
        """Images [B, 3, S, S] changed in one attribute of each, [B], toward a class [B], by an amount [B] in [0, 1]."""

    def edit_largest(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        """As `edit`, in the attribute of the largest amount of each image alone: one pass, whatever the settings."""
        most, attribute = amount.max(1)
        toward = target.gather(1, attribute[:, None])[:, 0]
        return self.edit_one(images, attribute, (toward > 0.5).to(images), most)

    def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        """In the order of the attributes."""
        for settings in steps_of(amount):
            images = self.edit_largest(images, target, settings)
        return images

    def reconstruct(self, images: Tensor) -> Tensor:
        """The images themselves: nothing passes through a code."""
        return images

    def prepare(self, images: Tensor) -> tuple[Tensor]:
        return (images,)

    def edit_prepared(self, prepared: tuple[Tensor], target: Tensor, amount: Tensor) -> Tensor:
        return self.edit(prepared[0], target, amount)

    def reconstruct_prepared(self, prepared: tuple[Tensor]) -> Tensor:
        return prepared[0]


def steps_of(amount: Tensor) -> list[Tensor]:
    """Amounts [B, A] as several of which each changes one attribute alone; none where all are 0."""
    return [
        torch.zeros_like(amount).index_copy(1, torch.tensor([a], device=amount.device), amount[:, a : a + 1])
        for a in range(amount.shape[1])
        if bool((amount[:, a] > 0).any())
    ]
