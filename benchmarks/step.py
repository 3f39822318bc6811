"""One training step of IFcVAE-GAN: the engine against the same step written the usual way.

    python benchmarks/step.py [--width 64] [--image-size 64] [--batch-size 64] [--rounds 10] [--threads 2] [--form dcgan]

The usual way is a hand-written loop in which every optimizer has its own forward pass, `zero_grad`, `backward` and
`step`, with `detach` where gradients must not go on. Both step the same networks from the same weights and alternate
in one process, so that another load on the machine slows both; a ratio is that of two neighbours.
(a) compares them in the same precision and memory format, (b) against the usual way in float32, contiguous (NCHW).
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from visagist.losses import judged, kl_to_standard_normal, label_cross_entropy, pixel_cross_entropy, reparameterise
from visagist.methods.base import Batch
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.networks.convolutional import join
from visagist.training.distributed import pick_device
from visagist.training.precision import autocast, has_bf16
from visagist.training.update import Updater

WANTED = {"same": 1.25, "fp32": 1.8}
Step = Callable[[], None]


class UsualLoop:
    """The step as it is commonly written, one forward pass for each of the four optimizers."""

    def __init__(self, model: Any, precision: Any, device: torch.device) -> None:
        self.model, self.precision, self.device = model, precision, device
        self.optimizers = model.optimizers()

    def _move(self, name: str, loss: torch.Tensor) -> None:
        self.optimizers[name].zero_grad()
        loss.backward()
        self.optimizers[name].step()

    def _generate(self, batch: Batch) -> tuple[torch.Tensor, ...]:
        c, m = self.model.config, self.model
        mu, log_var, y_logits = m.encoder(batch.images)
        z_hat, z = reparameterise(mu, log_var), torch.randn_like(mu)
        y_prior = batch.labels[torch.randperm(len(batch.labels), device=self.device)]
        codes = [join(z_hat, torch.sigmoid(y_logits), c.label_scale), join(z, y_prior, c.label_scale)]
        x_logits, sample_logits = m.decoder(torch.cat(codes)).chunk(2)
        return mu, log_var, y_logits, z_hat, x_logits, torch.sigmoid(sample_logits)

    def _judge(self, x: torch.Tensor, x_hat: torch.Tensor, x_sample: torch.Tensor) -> torch.Tensor:
        real, fake, sample = (self.model.discriminator(part) for part in (x, x_hat, x_sample))
        return (judged(real, True) + judged(fake, False) + judged(sample, False)) / 3

    def step(self, batch: Batch) -> None:
        c, m = self.model.config, self.model
        with autocast(self.precision, self.device):
            *_, x_logits, x_sample = self._generate(batch)
            loss = self._judge(batch.images, torch.sigmoid(x_logits).detach(), x_sample.detach())
        self._move("discriminator", loss)
        with autocast(self.precision, self.device):
            mu, log_var, _ = m.encoder(batch.images)
            loss = label_cross_entropy(m.auxiliary(reparameterise(mu, log_var).detach()), batch.labels)
        self._move("auxiliary", loss)
        with autocast(self.precision, self.device):
            *_, x_logits, x_sample = self._generate(batch)
            L_gan = self._judge(batch.images, torch.sigmoid(x_logits), x_sample)
            loss = pixel_cross_entropy(x_logits, batch.images) - c.gan_weight * L_gan
        self._move("decoder", loss)
        with autocast(self.precision, self.device):
            mu, log_var, y_logits, z_hat, x_logits, x_sample = self._generate(batch)
            L_gan = self._judge(batch.images, torch.sigmoid(x_logits), x_sample)
            loss = pixel_cross_entropy(x_logits, batch.images) + c.kl_weight * kl_to_standard_normal(mu, log_var)
            loss = loss + c.class_weight * label_cross_entropy(y_logits, batch.labels) - c.gan_weight * L_gan
            loss = loss - c.auxiliary_weight * label_cross_entropy(m.auxiliary(z_hat), batch.labels)
        self._move("encoder", loss)


def steps(given: argparse.Namespace, device: torch.device) -> dict[str, Step]:
    """The three contestants, each with its own copy of the same networks."""
    torch.manual_seed(0)
    config = IFcVAEGAN.Config(form=given.form, width=given.width, discriminator_width=given.width)
    model = IFcVAEGAN(config, ("Smiling",), given.image_size).to(device)
    images = torch.rand(given.batch_size, 3, given.image_size, given.image_size, device=device)
    labels = torch.randint(0, 2, (given.batch_size, 1), device=device).float()
    precision: Any = "bf16" if has_bf16(device) else "fp32"

    def laid_out(layout: Any) -> tuple[Any, Batch]:
        own = copy.deepcopy(model).to(memory_format=layout).train()
        return own, Batch(images.contiguous(memory_format=layout), labels)

    ours, fast = laid_out(torch.channels_last)
    engine = Updater(ours, lambda: autocast(precision, device), lambda tensors: None)
    usual, _ = laid_out(torch.channels_last)
    plain, slow = laid_out(torch.contiguous_format)
    same, fp32 = UsualLoop(usual, precision, device), UsualLoop(plain, "fp32", device)
    return {
        "engine": lambda: engine.step([fast], 0),
        "same": lambda: same.step(fast),
        "fp32": lambda: fp32.step(slow),
    }


def measure(contestants: dict[str, Step], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Seconds of one step of each contestant in each round, in an order that turns from round to round."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(-1, rounds):
        for name in names[turn % 3 :] + names[: turn % 3]:
            _synchronise(device)
            began = time.perf_counter()
            contestants[name]()
            _synchronise(device)
            if turn >= 0:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def spread(values: list[float]) -> dict[str, float]:
    quarter, half, three = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    figures = {"median": half, "quarter": quarter, "three_quarters": three, "min": min(values), "max": max(values)}
    return {name: round(value, 4) for name, value in figures.items()}


def report(given: argparse.Namespace, device: torch.device, seconds: dict[str, list[float]]) -> dict[str, Any]:
    native = has_bf16(device)
    ratios = {n: [s / o for s, o in zip(seconds[n], seconds["engine"])] for n in ("same", "fp32")}
    return {
        "settings": {key: value for key, value in vars(given).items() if key != "json"},
        "machine": {"device": str(device), "processor": platform.processor(), "torch": torch.__version__},
        "bf16_is_native": native,
        "precision": "bf16" if native else "fp32",
        "images_per_second": {n: round(given.batch_size / statistics.median(s), 2) for n, s in seconds.items()},
        "ratio": {n: {**spread(r), "wanted": WANTED[n]} for n, r in ratios.items()},
    }


def show(found: dict[str, Any]) -> str:
    precision, speed = found["precision"], found["images_per_second"]
    lines = [f"{'':46}{'images/s':>10}{'engine is':>11}   spread (quartiles)"]
    titles = {"same": f"(a) usual loop, {precision}, channels_last", "fp32": "(b) usual loop, fp32, contiguous"}
    lines.append(f"{f'engine, {precision}, channels_last':46}{speed['engine']:>10.1f}")
    for name, title in titles.items():
        r = found["ratio"][name]
        lines.append(f"{title:46}{speed[name]:>10.1f}{r['median']:>10.2f}×   {r['quarter']:.2f} … {r['three_quarters']:.2f}")
    if not found["bf16_is_native"]:
        lines.append("bf16 is not native here, so (b) differs from (a) in the memory format alone.")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--form", choices=("dcgan", "residual"), default="dcgan")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = pick_device(given.device)
    found = report(given, device, measure(steps(given, device), given.rounds, device))
    print(show(found), file=sys.stderr)
    print(json.dumps(found, indent=1))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    short = [n for n in ("same", "fp32") if found["ratio"][n]["median"] < WANTED[n]]
    return 1 if found["bf16_is_native"] and short else 0


if __name__ == "__main__":
    sys.exit(main())
