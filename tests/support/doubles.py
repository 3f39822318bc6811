"""Stand-ins of known behaviour: a world where brightness of the lower half is the smile, and methods within it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.api import report_evaluation
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.editing.strength import StrengthMap
from visagist.evaluation import Metrics
from visagist.evaluation.session import EvaluationSettings, session_of
from visagist.methods.base import Code, Method
from visagist.progress import ProgressLike

SIZE = 16
DARK, BRIGHT = 60, 190
NAMES = ("Smiling", "Young", "Wearing_Hat")


def plain_faces(number: int = 120, seed: int = 0, size: int = SIZE) -> Faces:
    """Noise whose lower half is bright where a face smiles; the upper half tells Young; Wearing_Hat is not drawn."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (number, 3)).astype(np.uint8)
    images = rng.integers(-20, 20, (number, size, size, 3))
    images[:, size // 2 :] += np.where(labels[:, 0], BRIGHT, DARK)[:, None, None, None]
    images[:, : size // 2] += np.where(labels[:, 1], BRIGHT, DARK)[:, None, None, None]
    return Faces(
        images=images.astype(np.uint8),
        labels=labels,
        names=NAMES,
        split=np.full(number, 2, np.uint8),
        files=tuple(f"{i}" for i in range(number)),
        identity=np.arange(number) // 2,
        manifest={"source": "plain", "crop": "drawn", "filter": None},
    )


def brightness(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The smile [N] from 0 to 1."""
    return (images[:, images.shape[1] // 2 :].mean((1, 2, 3)) - DARK) / (BRIGHT - DARK)


@dataclass(frozen=True)
class Settings:
    """None."""


@dataclass
class BrightnessJudge:
    """Reads Smiling from the lower half and Young from the upper, without an error."""

    name: str = "brightness"
    attributes: tuple[str, ...] = ("Young", "Smiling")
    image_size: int = SIZE
    description: dict[str, Any] = field(default_factory=dict)
    scored: int = 0

    def score(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.scored += len(images)
        columns = [brightness(images[:, ::-1]), brightness(images)]
        return np.stack(columns, 1).clip(0, 1).astype(np.float32)


class DoNothing(Method):
    """Reconstructs exactly and edits nothing; z is every pixel, so the smile leaks entirely."""

    # `name` is set after the class is made: the contract tests of registered methods are not to meet it.
    capabilities = frozenset({"autoencode", "edit", "classify"})
    inference_networks = ("scale",)

    def __init__(self) -> None:
        super().__init__(Settings(), ("Smiling",), SIZE)
        self.scale = torch.nn.Linear(2, 3)

    def encode(self, images: Tensor) -> Code:
        return Code(images.flatten(1))

    def decode(self, code: Code) -> Tensor:
        return code.z.reshape(len(code.z), 3, SIZE, SIZE)

    def classify(self, images: Tensor) -> Tensor:
        return images[:, :, SIZE // 2 :].mean((1, 2, 3))[:, None]

    def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        return images


class Perfect(DoNothing):
    """Moves the lower half, and nothing else, toward the class by the amount."""

    def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        level = (DARK + (BRIGHT - DARK) * target[:, :1, None, None]) / 255
        lower = torch.arange(SIZE)[:, None] >= SIZE // 2
        return torch.where(lower, torch.lerp(images, level.expand_as(images), amount[:, :1, None, None]), images)


class Careless(Perfect):
    """Changes the upper half as well, so that Young goes with the smile."""

    def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        upper = super().edit(images.flip(2), target, amount).flip(2)
        return super().edit(upper, target, amount)


DoNothing.name, Perfect.name, Careless.name = "do-nothing", "perfect", "careless"


def editor_of(method: Method, judge: str | None = "another-judge") -> Editor:
    """An editor whose strength is the amount, fitted by this judge or by none."""
    editor = Editor(method)
    if judge is not None:
        ways = {way: StrengthMap(calibrated=True, judge=judge).to_json() for way in ("+1", "-1")}
        editor.use_strength({"Smiling": ways})
    return editor


def evaluate(
    editor: Editor,
    faces: Faces,
    *,
    attributes: Sequence[str] | None = None,
    recovery: int = 0,
    out: Path | None = None,
    progress: ProgressLike = None,
    **settings: Any,
) -> Metrics:
    """The evaluation of a model that is there, and its report in `out`; `settings` are those of `EvaluationSettings`.

    Without probes of the code, which take twelve of its thirteen seconds: ask for them by `without=()`.
    """
    session = session_of(editor, faces, EvaluationSettings(**({"without": ("leakage",)} | settings)))
    return report_evaluation(session, attributes, recovery, out, progress=progress)
