"""A method whose edits are replaced by moves of its code along directions, one for each attribute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from visagist.latent.direction_types import Direction
from visagist.methods.base import Code, Method

RANGE = 8.0  # the end of the range, in units of a direction
STEP = 3.0  # the equal step, in units of a direction
LENGTHS = 4.0  # the end of the range of attribute vectors, in their own lengths
NEAR, FAR = 1.0, 4.0  # and where faces are moved toward, in lengths from the middle; mean faces are half a length from it


@dataclass(frozen=True)
class DirectionConfig:
    """The directions by the names that `Direction.label` gives them."""

    labels: tuple[str, ...]


class DirectionMethod(Method):
    """Another method's codes and pictures; an edit moves z by up to the reach along directions and keeps y.

    The reach is `RANGE` units of each direction; with `by_length`, `LENGTHS` times the attribute vector itself, so that
    the paper's z + alpha v at alpha = 1 is amount 1 / `LENGTHS` (Hou et al., 2019, §4.3.2). Vectors with a middle move z to
    places beyond it instead, and nothing that is there already: the first half of the amount is a share of z's own way to
    `NEAR` lengths, the second moves all on together from there to `FAR`. The amount that moves the mean face of the other
    class by v stands for the paper's.
    """

    Config = DirectionConfig
    vectors: Tensor
    reach: Tensor
    middles: Tensor

    def __init__(self, method: Method, directions: Sequence[Direction], by_length: bool = False) -> None:
        attributes = tuple(direction.attribute for direction in directions)
        super().__init__(DirectionConfig(tuple(d.label for d in directions)), attributes, method.image_size)
        self.method = method
        self.capabilities = (method.capabilities & {"autoencode", "generate"}) | {"edit"}  # type: ignore[misc]
        self.toward = by_length and all(direction.middle is not None for direction in directions)
        by_vectors = 0.5 / (NEAR + 0.5) if self.toward else 1 / LENGTHS
        self.paper_amount = by_vectors if by_length else STEP / RANGE  # type: ignore[misc]
        self.inference_networks = method.inference_networks  # type: ignore[misc]
        vectors = np.stack([direction.vector for direction in directions])
        self.register_buffer("vectors", torch.from_numpy(vectors).float(), persistent=False)
        lengths = FAR if self.toward else LENGTHS
        reach = [lengths * d.length if by_length and d.length else RANGE * d.unit for d in directions]
        self.register_buffer("reach", torch.tensor(reach), persistent=False)
        self.register_buffer(
            "middles", torch.tensor([direction.middle or 0.0 for direction in directions]), persistent=False
        )

    def networks(self) -> dict[str, nn.Module]:
        return self.method.networks()

    def encode(self, images: Tensor) -> Code:
        return self.method.encode(images)

    def encode_sampled(self, images: Tensor) -> Code | None:
        return self.method.encode_sampled(images)

    def decode(self, code: Code) -> Tensor:
        return self.method.decode(code)

    def sample(self, labels: Tensor) -> Tensor:
        return self.method.sample(labels)

    def prepare(self, images: Tensor) -> Code:
        return self.encode(images)

    def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        return self.edit_prepared(self.encode(images), target, amount)

    def edit_prepared(self, prepared: Code, target: Tensor, amount: Tensor) -> Tensor:
        (z, y), side = prepared, 2 * target - 1
        way = self.reach * amount
        if self.toward:
            way = self._way(side * (z @ self.vectors.T - self.middles), amount)
        return self.decode(Code(z + (way * side) @ self.vectors, y))

    def _way(self, start: Tensor, amount: Tensor) -> Tensor:
        """How far codes move that lie `start` beyond the middle: N x attributes, in the same units, at least 0."""
        near, to_near, on = self.reach * (NEAR / FAR), (2 * amount).clamp(max=1), (2 * amount - 1).clamp(min=0)
        together = near + on * (self.reach - near) - start.maximum(near)
        return to_near * (near - start).clamp(min=0) + together.clamp(min=0)


# Named after the class is made: it is no method of its own, to be trained or loaded by name.
DirectionMethod.name = "along-directions"
