"""Independent networks that read what models make: some score, and those that end in `-b` calibrate and never score."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.boundary.forks import check_fork
from visagist.checkpoints import checkpoint
from visagist.errors import VisagistError, nearest
from visagist.judges.attribute import AttributeJudge
from visagist.judges.reading import CALIBRATING_JUDGE, JUDGES, SCORING_JUDGE, SCORING_JUDGES
from visagist.methods.base import Trainable
from visagist.pixels import to_float
from visagist.pretrained import find_model, holds_kind, shipped_folder
from visagist.runtime.folding import fold_norms
from visagist.training.distributed import pick_device
from visagist.training.precision import autocast, has_bf16

__all__ = [
    "CALIBRATING_JUDGE", "JUDGES", "SCORING_JUDGE", "CalibratingJudge", "Judge", "is_judge", "load_judge", "lookup",
    "refuse_scoring",
]  # fmt: skip
PLACES = 4  # across and down, of what features are means over


def lookup(name: str) -> type[Trainable]:
    """The trainable class of a judge's checkpoint."""
    if name != AttributeJudge.name:
        raise VisagistError(f"no judge of kind {name!r}: {nearest(name, [AttributeJudge.name])}")
    return AttributeJudge


class Judge:
    """A trained judge. `attributes` are the columns of `score`; `description` is its card's facts.

    `precision` is "bf16" where "auto" finds it native, which takes half the time; docs/judging.md says what it changes.
    """

    def __init__(
        self,
        name: str,
        model: Trainable,
        description: dict[str, Any],
        device: torch.device,
        precision: Literal["auto", "fp32", "bf16"] = "auto",
    ) -> None:
        self.name, self.description = name, description
        self.model = model.to(device)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.device = device
        self.precision: Literal["fp32", "bf16"] = (
            precision if precision != "auto" else "bf16" if has_bf16(device) else "fp32"
        )
        self.network: torch.nn.Module = self.model
        self.attributes, self.image_size = model.attributes, model.image_size

    @property
    def crop(self) -> str | None:
        """The crop of the faces that trained it, where it says so."""
        crop = self.description.get("crop")
        return crop if isinstance(crop, str) else None

    def score(self, images: NDArray[np.uint8] | Tensor, batch_size: int = 64) -> NDArray[np.float32]:
        """Probabilities [N, A] for uint8 images [N, S, S, 3] or float tensors [N, 3, S, S] in [0, 1]; any size S."""
        return self._read(images, batch_size, self.network, torch.sigmoid, len(self.attributes))

    def features(self, images: NDArray[np.uint8] | Tensor, batch_size: int = 64) -> NDArray[np.float32]:
        """What the last layer reads of images as `score` takes them, [N, F]: means over 4×4 places, both sides alike.

        A face and its mirror image have nearly the same features. Classifiers of what the judge does not know rest on them.
        """
        network: Any = self.model.classifier

        def pool(maps: Tensor) -> Tensor:
            cells = torch.nn.functional.adaptive_avg_pool2d(maps, PLACES)
            return (0.5 * (cells + cells.flip(3)))[..., : PLACES // 2].flatten(1)

        return self._read(images, batch_size, network.maps, pool, 0)

    @torch.inference_mode()
    def _read(
        self, images: NDArray[np.uint8] | Tensor, batch_size: int, network: Callable[[Tensor], Tensor],
        finish: Callable[[Tensor], Tensor], columns: int,
    ) -> NDArray[np.float32]:
        """What `finish` makes of a network's outputs for batches of the judge's size; [0, columns] of no images."""
        check_fork()
        rows = []
        for start in range(0, len(images), batch_size):
            part = images[start : start + batch_size]
            if isinstance(part, Tensor):
                x = part.to(self.device)
            else:
                x = to_float(torch.from_numpy(np.require(part, requirements=["C", "W"])), self.device)
            if x.shape[-1] != self.image_size:
                size = (self.image_size, self.image_size)
                x = torch.nn.functional.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
            x = x.contiguous(memory_format=torch.channels_last)
            with autocast(self.precision, self.device):
                outputs = network(x)
            rows.append(finish(outputs.float()).cpu().numpy())
        return np.concatenate(rows) if rows else np.zeros((0, columns), np.float32)


def is_judge(name: str | Path) -> bool:
    """Whether this zoo name or folder holds a judge."""
    return holds_kind(name, "judge")


def load_judge(name: str | Path, device: str = "cpu", precision: Literal["auto", "fp32", "bf16"] = "auto") -> Judge:
    """The judge of this zoo name, or in this model or run folder."""
    model, description = checkpoint.load_model(find_model(name, "judge").folder, lookup, kind="judge")
    return Judge(description.get("zoo_name", str(name)), model, description, pick_device(device), precision)


class _BothWays(torch.nn.Module):
    """A face and its mirror image in one pass: the mean of both, [B, A]."""

    def __init__(self, classifier: torch.nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        both = torch.cat([images, images.flip(3)]).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.classifier(both).float().unflatten(0, (2, -1)).mean(0)
        return logits


def quicken(judge: Judge) -> Judge:
    """The judge with its norms folded and its weights in its precision, for photographs: its scores differ by rounding."""
    fold_norms(judge.model)
    if judge.precision == "bf16":
        judge.model.to(torch.bfloat16)
    network: Any = judge.model
    judge.network = _BothWays(network.classifier)
    return judge


class CalibratingJudge(Protocol):
    """What calibration asks of `visagist.judges.Judge`."""

    @property
    def name(self) -> str: ...
    @property
    def attributes(self) -> tuple[str, ...]: ...
    def score(self, images: NDArray[np.uint8]) -> NDArray[np.float32]: ...


def refuse_scoring(judge: CalibratingJudge) -> None:
    weights = getattr(judge, "description", {}).get("weights_sha256")
    for name in SCORING_JUDGES:
        shipped = shipped_folder(name)
        theirs = None if shipped is None else checkpoint.read_description(shipped)["weights_sha256"]
        same = weights is not None and weights == theirs
        if same or Path(judge.name).name == name:
            raise VisagistError(f"{judge.name} is {name}, which scores and never calibrates: use {CALIBRATING_JUDGE}")
