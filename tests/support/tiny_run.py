"""A run of seconds, for tests and for the processes they start: small networks without batch norm, and with it.

python tests/support/tiny_run.py OUT [--resume] [--model ifcvae-gan] [--set batch_size=8 …]
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))

from tiny_faces import make_faces
from tiny_models import tiny_model

from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.methods.base import Accumulated, Batch, Losses, Trainable
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.methods.introvac import IntroVAC
from visagist.networks.convolutional import frozen_statistics
from visagist.progress import Progress
from visagist.training.config import TrainingConfig
from visagist.training.trainer import train_model

SIZE = 16


class Said(Progress):
    """Keeps the lines that are said in a list."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def message(self, line: str) -> None:
        self.lines.append(line)


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


class Alternating(Trainable):
    """Networks with batch norm: a critic that moves twice, then an autoencoder that moves in two phases."""

    name = "alternating"
    Config = TwoNetworksConfig
    config: TwoNetworksConfig

    def __init__(self, config: TwoNetworksConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        w = config.width
        self.encoder = nn.Sequential(nn.Conv2d(3, w, 4, 4, bias=False), nn.BatchNorm2d(w), nn.Tanh(), nn.Conv2d(w, w, 4))
        entry = [nn.Flatten(), nn.Linear(w, w, bias=False), nn.BatchNorm1d(w), nn.Tanh(), nn.Unflatten(1, (w, 1, 1))]
        self.decoder = nn.Sequential(*entry, nn.ConvTranspose2d(w, w, 4), nn.Tanh(), nn.ConvTranspose2d(w, 3, 4, 4))
        self.critic = nn.Sequential(nn.Conv2d(3, w, 8, 8, bias=False), nn.BatchNorm2d(w), nn.Tanh(), nn.Conv2d(w, 1, 2))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {name: torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9) for name, net in self.networks().items()}

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        x = batch.images
        for _ in range(2):
            made = self.decoder(self.encoder(x))
            yield {"critic": (self.critic(made).tanh() - self.critic(x).tanh()).mean()}
        x_hat = self.decoder(self.encoder(x))
        L_rec = (x_hat - x).square().mean()
        self.log(rec=L_rec)
        yield {"encoder": L_rec, "decoder": Accumulated(L_rec)}
        with frozen_statistics(self.critic):
            L_critic = -self.critic(x_hat).tanh().mean()
        yield {"decoder": L_critic + (self.decoder(self.encoder(x).detach()) - x).abs().mean()}

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": (self.decoder(self.encoder(batch.images)) - batch.images).square().mean()}


@contextmanager
def stillness(still: bool) -> Iterator[None]:
    """Within, what a method draws at random is the same for every process: zeros, and the order that is there."""
    kept = torch.randn, torch.randn_like, torch.randperm
    try:
        if still:
            torch.randn, torch.randn_like, torch.randperm = torch.zeros, torch.zeros_like, torch.arange
        yield
    finally:
        torch.randn, torch.randn_like, torch.randperm = kept


FORGETFUL: dict[str, Any] = {
    "auxiliary_steps": 2,
    "auxiliary_members": 2,
    "auxiliary_restart_images": 40,
    "auxiliary_sees": "both",
    "auxiliary_goal": "chance",
    "auxiliary_warmup_images": 60,
    "erasure": "linear",
    "independence_weight": 0.1,
    "information_weight": 0.1,
}
MODELS: dict[str, Any] = {
    "alternating": lambda names: Alternating(TwoNetworksConfig(), names, SIZE),
    "two-networks": lambda names: TwoNetworks(TwoNetworksConfig(), names, SIZE),
    "noiseless": lambda names: TwoNetworks(TwoNetworksConfig(noise=0.0), names, SIZE),
    "ifcvae-gan": lambda names: tiny_model(IFcVAEGAN, names, SIZE, class_hat_weight=0.1),
    "forgetful": lambda names: tiny_model(IFcVAEGAN, names, SIZE, **FORGETFUL),
    "introvac": lambda names: tiny_model(IntroVAC, names, SIZE, vac_images=40),
}


def settings(**changes: Any) -> TrainingConfig:
    """A TrainingConfig of 12 steps of 8 faces, in float32, with checkpoints only where they must be."""
    usual: dict[str, Any] = {"images": 96, "batch_size": 8, "precision": "fp32", "checkpoint_seconds": 1e9}
    usual |= {"validation_faces": 8, "validate_every_images": 48}
    return TrainingConfig(**(usual | changes))


def prepared(
    model: str,
    faces: Mapping[str, int] | None = None,
    before_step: Callable[[int], None] = lambda step: None,
) -> tuple[Trainable, Faces]:
    """A tiny model, the same every time, and 32 numpy faces to train it on."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shown = make_faces(**(faces or {}))
    net = MODELS[model](shown.names)
    original, steps = net.training_step, count()

    def watched(batch: Batch) -> Iterator[Losses]:
        before_step(next(steps))
        return original(batch)

    net.training_step = watched
    return net, shown


def train(
    out: Path | str,
    model: str = "two-networks",
    resume: bool = False,
    still: bool = False,
    faces: Mapping[str, int] | None = None,
    before_step: Callable[[int], None] = lambda step: None,
    **changes: Any,
) -> Path:
    """Train a tiny model on 32 numpy faces into `out`; `changes` are fields of TrainingConfig."""
    net, shown = prepared(model, faces, before_step)
    with stillness(still):
        return train_model(net, shown, settings(**changes), Path(out), resume=resume, device="cpu")


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


def _killer(rank: str, step: str, done: str) -> Callable[[int], None]:
    """Ends the process of this rank by SIGKILL before its step, unless the file says that this has been done."""

    def kill(number: int) -> None:
        if os.environ["RANK"] == rank and number == int(step) and not Path(done).exists():
            Path(done).write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="two-networks", choices=MODELS)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--count-renames", type=Path)
    parser.add_argument("--file-size-limit", type=int)
    parser.add_argument("--killed", nargs=3, help="RANK, STEP and a file: once, at that step, the process kills itself")
    given = parser.parse_args()
    if given.count_renames:
        _count_renames(given.count_renames / f"renames-{os.environ['RANK']}")
    if given.file_size_limit:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (given.file_size_limit, given.file_size_limit))
    changes: dict[str, Any] = {"before_step": _killer(*given.killed)} if given.killed else {}
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
