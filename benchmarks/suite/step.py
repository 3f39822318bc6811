"""A training step of IFcVAE-GAN: the engine against hand-written loops and Lightning Fabric, on the same networks.

`careful` is the honest rival: what is left over it is what the engine does beyond sharing forward passes, and what it
costs. The ratio of `careful` to `usual` is how much of the engine's gain is sharing.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from suite.machine import version
from suite.step_loops import CarefulLoop, FabricLoop, UsualLoop
from suite.timing import Given, Group, Part, Ratio, Work, by_turns, compare
from visagist.methods.base import Batch
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.training.precision import autocast, has_bf16
from visagist.training.updater import Updater

WIDTHS = (64, 32)
RATIOS = [
    Ratio("engine", "usual", 1.4), Ratio("engine", "fabric", 1.3), Ratio("engine", "usual fp32 contiguous", 2.2),
    Ratio("engine", "careful"), Ratio("careful", "usual"),
]  # fmt: skip


def contestants(width: int, size: int, batch_size: int, precision: Any, device: torch.device) -> dict[str, Work]:
    """Steps of the same networks from the same weights on the same faces; Fabric where it is installed."""
    torch.manual_seed(0)
    config = IFcVAEGAN.Config(width=width, discriminator_width=width)
    model = IFcVAEGAN(config, ("Smiling",), size).to(device)
    images = torch.rand(batch_size, 3, size, size, device=device)
    labels = torch.randint(0, 2, (batch_size, 1), device=device).float()
    fast = Batch(images.contiguous(memory_format=torch.channels_last), labels)
    plain = Batch(images.contiguous(), labels)

    def own(layout: Any = torch.channels_last) -> IFcVAEGAN:
        return copy.deepcopy(model).to(memory_format=layout).train()

    engine = Updater(own(), lambda: autocast(precision, device), lambda tensors: None)
    usual, careful = UsualLoop(own(), precision, device), CarefulLoop(own(), precision, device)
    fp32 = UsualLoop(own(torch.contiguous_format), "fp32", device)
    found: dict[str, Work] = {
        "engine": lambda: engine.step([fast], 0),
        "careful": lambda: careful.step(fast),
        "usual": lambda: usual.step(fast),
        "usual fp32 contiguous": lambda: fp32.step(plain),
    }
    if version("lightning-fabric"):
        fabric = FabricLoop(own(), precision, device)
        found["fabric"] = lambda: fabric.step(fast)
    return found


def run(given: Given) -> Part:
    part = Part()
    if not version("lightning-fabric"):
        part.skipped["fabric"] = "lightning-fabric is not installed: pip install -r benchmarks/requirements.txt"
    size, batch_size = (16, 8) if given.quick else (64, 64)
    precision = "bf16" if has_bf16(given.device) else "fp32"
    for width in (4,) if given.quick else WIDTHS:
        settings = {"width": width, "image_size": size, "batch_size": batch_size, "precision": precision}
        group = Group(f"ifcvae-gan, width {width}, {size} px, batch {batch_size}, {precision}, channels_last", settings)
        runners = contestants(width, size, batch_size, precision, given.device)
        compare(group, by_turns(runners, given.rounds_or(9), given.device), batch_size, RATIOS)
        if precision == "fp32":
            group.notes.append("bf16 is not native here, so `usual fp32 contiguous` differs in the memory format alone")
        part.groups.append(group)
    return part
