"""What a model does, cut into parts that are exported: each a torch module with named inputs and outputs.

    encode     images -> z, y                       classify   images -> probabilities
    decode     z, y -> images                       landmarks  images -> points, sureness
    prepare    images -> what all edits share       find       images -> cells
    move       that, target, amount -> images       edit       images, strength -> edited, reconstructed

Shape letters: B batch, A attributes, K knots, S image size, Z latent dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from visagist.editing.strength import DIRECTIONS, StrengthMap
from visagist.faces.finder_training import FaceFinder
from visagist.faces.landmark_training import LandmarkFinder
from visagist.judges.attribute import AttributeJudge
from visagist.methods.base import Code, Method
from visagist.methods.families.stepwise import StepwiseMethod
from visagist.runtime.arrays import is_tensor


@dataclass(frozen=True)
class Part:
    """A module to be exported, with inputs for two faces to trace it by, and the names of what goes in and comes out."""

    module: nn.Module
    inputs: tuple[Any, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    dynamic: tuple[int, ...] = (0,)  # the dimensions of inputs that are free


class AmountsOfStrength(nn.Module):
    """Classes and amounts [B, A] of strengths [B, A] from -1 to 1, by the model's strength maps."""

    def __init__(self, maps: Mapping[str, Mapping[str, StrengthMap]], attributes: Sequence[str]) -> None:
        super().__init__()
        most = max(len(maps[name][way].knots) for name in attributes for way in DIRECTIONS)
        tables = torch.zeros(3, 2, len(attributes), most - 1)
        for side, way in enumerate(DIRECTIONS):
            for row, name in enumerate(attributes):
                knots = torch.tensor(maps[name][way].knots, dtype=torch.float64)
                width, rise = (knots[1:] - knots[:-1]).T
                tables[:, side, row, : len(width)] = torch.stack([knots[:-1, 0], width, rise / width]).float()
        self.register_buffer("tables", tables)
        self.tables: Tensor

    def forward(self, strength: Tensor) -> tuple[Tensor, Tensor]:
        start, width, slope = self.tables
        size = strength.abs()[:, None, :, None]
        amounts = (slope * torch.minimum((size - start).clamp(min=0), width)).sum(-1)
        present = strength > 0
        return present.to(strength), torch.where(present, amounts[:, 0], amounts[:, 1])


class OfMethod(nn.Module):
    """A part of a method."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method


class Encode(OfMethod):
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(value for value in self.method.encode(images) if value is not None)


class Decode(OfMethod):
    def forward(self, code: tuple[Tensor, ...]) -> Tensor:
        return self.method.decode(Code(*code))


class Classify(OfMethod):
    def forward(self, images: Tensor) -> Tensor:
        return self.method.classify(images)


class Prepare(OfMethod):
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(value for value in self.method.prepare(images) if value is not None)


class Move(OfMethod):
    """An edit of what `Prepare` made; at amount 0 it is the reconstruction."""

    def forward(self, prepared: tuple[Tensor, ...], target: Tensor, amount: Tensor) -> Tensor:
        return _edit(self.method, _prepared(self.method, prepared), target, amount)


class Edit(nn.Module):
    """The whole edit: encode, move by strengths [B, A] from -1 to 1, decode; and the reconstruction."""

    def __init__(self, method: Method, maps: Mapping[str, Mapping[str, StrengthMap]]) -> None:
        super().__init__()
        self.method, self.amounts = method, AmountsOfStrength(maps, method.attributes)

    def forward(self, images: Tensor, strength: Tensor) -> tuple[Tensor, Tensor]:
        prepared = self.method.prepare(images)
        return _edit(self.method, prepared, *self.amounts(strength)), self.method.reconstruct_prepared(prepared)


class Judge(nn.Module):
    def __init__(self, judge: AttributeJudge) -> None:
        super().__init__()
        self.judge = judge

    def forward(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.judge(images))


def _edit(method: Method, prepared: Any, target: Tensor, amount: Tensor) -> Tensor:
    """The edit; of a method that edits one attribute after the other the one of the largest amount."""
    if isinstance(method, StepwiseMethod):
        (images,) = prepared
        return method.edit_largest(images, target, amount)
    return method.edit_prepared(prepared, target, amount)


def _prepared(method: Method, values: tuple[Tensor, ...]) -> Any:
    return Code(*values) if has_code(method) else values


def has_code(method: Method) -> bool:
    """Whether the method's edits share a code."""
    return "autoencode" in method.capabilities


def method_parts(method: Method, maps: Mapping[str, Mapping[str, StrengthMap]], trained: Method) -> dict[str, Part]:
    """The parts of a method that edits; `trained` is the method below, where attribute vectors move its codes."""
    side, own = method.image_size, next(iter(method.parameters()))
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)).to(own)
    settings = torch.full((2, len(method.attributes)), 0.5)
    parts: dict[str, Part] = {}
    with torch.no_grad():
        if has_code(method):
            code = tuple(value for value in method.encode(images) if value is not None)
            names = ("z", "y")[: len(code)]
            parts["encode"] = Part(Encode(method), (images,), ("images",), names)
            parts["decode"] = Part(Decode(method), (code,), names, ("images",))
        if "classify" in trained.capabilities:
            parts["classify"] = Part(Classify(trained), (images,), ("images",), ("probabilities",))
        if "edit" in method.capabilities:
            shared = [value for value in method.prepare(images) if is_tensor(value)]
            names = ("z", "y")[: len(shared)] if has_code(method) else tuple(f"shared_{i}" for i in range(len(shared)))
            if not has_code(method):
                parts["prepare"] = Part(Prepare(method), (images,), ("images",), names)
            parts["move"] = Part(
                Move(method), (tuple(shared), settings.round(), settings), (*names, "target", "amount"), ("images",)
            )
            parts["edit"] = Part(
                Edit(method, maps), (images, settings), ("images", "strength"), ("edited", "reconstructed")
            )
    return parts


def judge_parts(judge: AttributeJudge) -> dict[str, Part]:
    """A judge's one part."""
    images = torch.rand(2, 3, judge.image_size, judge.image_size)
    return {"classify": Part(Judge(judge), (images,), ("images",), ("probabilities",))}


def landmark_parts(model: LandmarkFinder) -> dict[str, Part]:
    """The landmark network: points in shares of the picture, and logits that it shows a face."""
    images = torch.rand(2, 3, model.config.side, model.config.side)
    return {"landmarks": Part(model, (images,), ("images",), ("points", "sureness"))}


def finder_parts(model: FaceFinder) -> dict[str, Part]:
    """The finder: pictures of any size, a multiple of its stride, to cells of both levels."""
    pictures = torch.rand(2, 3, 128, 96)
    return {"find": Part(model, (pictures,), ("images",), ("fine", "coarse"), (0, 2, 3))}
