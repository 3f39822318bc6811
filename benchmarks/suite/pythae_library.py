"""VAE and VAE/GAN: a step of visagist against a step of pythae's own trainer, on the same networks and faces.

pythae runs in float32 with contiguous tensors, as it does by default, and so does `ours fp32 contiguous`: what lies between
these two is the step itself. `ours fp32` adds the memory format, `ours bf16` the precision; both are visagist's defaults.
In VAE/GAN, pythae judges photographs and samples from the prior, visagist (as the paper) reconstructions too.
Both read their batch: pythae from floats in memory through its DataLoader, visagist from uint8.
"""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from suite.machine import version
from suite.timing import Given, Group, Part, Ratio, Work, by_turns, compare
from visagist import methods
from visagist.data.faces import Faces
from visagist.methods.base import Batch
from visagist.pixels import to_float
from visagist.training.batches import Batches
from visagist.training.precision import autocast, has_bf16
from visagist.training.updater import Updater

WANTED = {"vae": {}, "vae-gan": {"ours fp32": 2.5, "ours bf16": 5.0}}
OURS: dict[str, tuple[Any, Any]] = {
    "ours bf16": ("bf16", torch.channels_last),
    "ours fp32": ("fp32", torch.channels_last),
    "ours fp32 contiguous": ("fp32", torch.contiguous_format),
}


def noise_faces(count: int, size: int) -> Faces:
    """Pixels without a face, which take as long as others."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    labels = np.arange(count, dtype=np.uint8)[:, None] % 2
    return Faces(pixels, labels, ("Smiling",), np.zeros(count, np.uint8), tuple(map(str, range(count))))


def stepping(model: Any, faces: Faces, precision: Any, layout: Any, device: torch.device) -> Work:
    """A step of our engine, with its batch."""
    own = copy.deepcopy(model).to(device).to(memory_format=layout).train()
    engine = Updater(own, lambda: autocast(precision, device), lambda tensors: None)
    batches = Batches(faces, np.arange(len(faces.labels)), 0, True)

    def step() -> None:
        images, labels = batches.take(0, len(faces.labels), device)
        engine.step([Batch(images.contiguous(memory_format=layout), labels)], 0)

    return step


def run(given: Given) -> Part:
    if not version("pythae"):
        return Part(skipped={"pythae": "pythae is not installed: benchmarks/requirements.txt says how"})
    from suite import pythae_models

    part = Part()
    size, batch_size, width = (16, 8, 4) if given.quick else (64, 64, 32)
    faces = noise_faces(batch_size, size)
    images = to_float(torch.from_numpy(faces.images), given.device).contiguous()
    for name, trainer_of in (("vae", pythae_models.vae_trainer), ("vae-gan", pythae_models.vae_gan_trainer)):
        model = _model(name, width, size).to(given.device)
        group = Group(f"{name}, width {width}, {size} px, batch {batch_size}", {"width": width, "image_size": size})
        group.settings["batch_size"] = batch_size
        runners: dict[str, Work] = {
            title: stepping(model, faces, precision, layout, given.device)
            for title, (precision, layout) in OURS.items()
            if precision != "bf16" or has_bf16(given.device)
        }
        with tempfile.TemporaryDirectory() as folder:
            trainer = trainer_of(copy.deepcopy(model), images, Path(folder))
            runners["pythae fp32"] = lambda trainer=trainer: trainer.train_step(1)
            ratios = [Ratio(title, "pythae fp32", WANTED[name].get(title)) for title in OURS]
            compare(group, by_turns(runners, given.rounds_or(7), given.device), batch_size, ratios)
            if name == "vae-gan":
                found = pythae_models.leak(trainer)
                group.figure(
                    "cosine of the adversarial gradient pythae's decoder descends with its own", found["adversarial"], ""
                )
                group.figure("cosine of the whole gradient", found["whole"], "")
        part.groups.append(group)
    return part


def _model(name: str, width: int, size: int) -> Any:
    torch.manual_seed(0)
    cls = methods.get(name)
    widths = {field: width for field in ("width", "critic_width") if hasattr(cls.Config, field)}
    return cls(cls.Config(**widths), ("Smiling",), size)
