"""A run of seconds, for tests and for the processes they start: two small networks without batch norm.

python tests/training/tiny_run.py OUT [--resume] [--model ifcvae-gan] [--set batch_size=8 …]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from tiny_faces import make_faces
from tiny_models import tiny_model
from visagist.errors import VisagistError
from visagist.methods.base import Batch, Losses, Trainable
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.methods.introvac import IntroVAC
from visagist.training.config import TrainingConfig
from visagist.training.trainer import train_model

SIZE = 16


@dataclass(frozen=True)
class TwoNetworksConfig:
    width: int = 4
    noise: float = 0.1
    layers: tuple[int, ...] = (1, 2)
    poison_after: int = -1  # the step at which the decoder's loss becomes NaN


class TwoNetworks(Trainable):
    """An autoencoder moved by Adam and RMSprop, whose encoder also reads the label."""

    name = "two-networks"
    Config = TwoNetworksConfig
    config: TwoNetworksConfig

    def __init__(self, config: TwoNetworksConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        w = config.width
        self.encoder = nn.Sequential(nn.Conv2d(3, w, 4, 4), nn.Tanh(), nn.Conv2d(w, w + len(attributes), 4))
        self.decoder = nn.Sequential(nn.ConvTranspose2d(w, w, 4), nn.Tanh(), nn.ConvTranspose2d(w, 3, 4, 4))
        self.steps = 0

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {
            "encoder": torch.optim.Adam(self.encoder.parameters(), lr=1e-2),
            "decoder": torch.optim.RMSprop(self.decoder.parameters(), lr=1e-3, momentum=0.5),
        }

    def losses(self, batch: Batch, noise: float) -> tuple[Tensor, Tensor]:
        code, label = self.encoder(batch.images).split([self.config.width, len(self.attributes)], dim=1)
        L_rec = (self.decoder(code + noise * torch.randn_like(code)) - batch.images).square().mean()
        L_class = nn.functional.binary_cross_entropy_with_logits(label.flatten(1), batch.labels)
        return L_rec, L_class

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        L_rec, L_class = self.losses(batch, self.config.noise)
        poison = float("nan") if self.steps == self.config.poison_after else 1.0
        self.steps += 1
        self.log(rec=L_rec)
        yield {"encoder": L_rec + L_class, "decoder": L_rec * poison}

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        L_rec, L_class = self.losses(batch, 0.0)
        return {"loss": L_rec, "label": L_class}


MODELS: dict[str, Any] = {
    "two-networks": lambda names: TwoNetworks(TwoNetworksConfig(), names, SIZE),
    "noiseless": lambda names: TwoNetworks(TwoNetworksConfig(noise=0.0), names, SIZE),
    "ifcvae-gan": lambda names: tiny_model(IFcVAEGAN, names, SIZE, class_hat_weight=0.1),
    "introvac": lambda names: tiny_model(IntroVAC, names, SIZE, vac_images=40),
}


def settings(**changes: Any) -> TrainingConfig:
    """A TrainingConfig of 12 steps of 8 faces, in float32, with checkpoints only where they must be."""
    usual: dict[str, Any] = {"images": 96, "batch_size": 8, "precision": "fp32", "checkpoint_seconds": 1e9}
    usual |= {"validation_faces": 8, "validate_every_images": 48}
    return TrainingConfig(**(usual | changes))


def train(out: Path | str, model: str = "two-networks", resume: bool = False, **changes: Any) -> Path:
    """Train a tiny model on 32 numpy faces into `out`; `changes` are fields of TrainingConfig."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    faces = make_faces()
    return train_model(MODELS[model](faces.names), faces, settings(**changes), Path(out), resume=resume, device="cpu")


def _count_renames(counter: Path) -> None:
    """Write down how often this process renames a folder, as every checkpoint does."""
    seen = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event == "os.rename" and str(arguments[1]).endswith("last"):
            seen += 1
            counter.write_text(str(seen))

    counter.write_text("0")
    sys.addaudithook(watch)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="two-networks", choices=MODELS)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--count-renames", type=Path)
    parser.add_argument("--file-size-limit", type=int)
    given = parser.parse_args()
    if given.count_renames:
        _count_renames(given.count_renames / f"renames-{os.environ['RANK']}")
    if given.file_size_limit:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (given.file_size_limit, given.file_size_limit))
    changes: dict[str, Any] = {}
    for pair in given.set:
        key, value = pair.split("=")
        changes[key] = float(value) if "." in value or "e" in value else int(value)
    try:
        train(given.out, given.model, given.resume, **changes)
    except VisagistError as error:
        print(f"visagist: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
