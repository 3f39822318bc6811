"""New faces of any model that can make them: by chains in its codes, by its labels, or from its prior."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.errors import VisagistError
from visagist.latent.backend import Backend, FaceModel, torch_method
from visagist.latent.conditional_sampling import (
    CodeClassifier,
    Findings,
    SamplingConfig,
    check_given,
    check_settings,
    sample_latents,
)
from visagist.methods.base import Code
from visagist.pixels import to_pixels
from visagist.progress import ProgressLike


@dataclass(frozen=True)
class Samples:
    """Generated faces, and how they came about.

    images       uint8 [N, S, S, 3]
    how          "chain", "label" or "prior"
    probability  mean, by the model's own classifier, of each value that was asked for; empty where it has none
    findings     of chains
    """

    images: NDArray[np.uint8]
    how: str
    probability: dict[str, float]
    findings: Findings | None = None


def generate(
    editor: FaceModel,
    number: int,
    given: Mapping[str, float],
    settings: SamplingConfig,
    seed: int,
    batch_size: int = 64,
    progress: ProgressLike = None,
) -> Samples:
    """`number` faces with the values in `given`: by chains where the model classifies codes, else by its labels.

    Labels that are not named are 0 or 1 at even odds. VisagistError where the model does not heed a label.
    """
    check_settings(settings, number, batch_size)
    backend, device = editor.backend, editor.device
    value = check_given(given, backend.attributes, backend.name)
    if given and editor.can("classify_latent"):
        model = cast(CodeClassifier, torch_method(editor, "a chain of codes"))
        z, probability, findings = sample_latents(
            model, given, number, settings, seed=seed, device=device, progress=progress
        )
        with torch.inference_mode():
            images = [to_pixels(backend.decode(Code(part))) for part in z.split(batch_size)]
        return Samples(np.concatenate(images), "chain", probability, findings)
    for column in (~value.isnan()).nonzero().flatten().tolist():
        _check_heeds(backend, column, seed, device)
    images, read = [], []
    with torch.inference_mode(), seeded(seed, device):
        even = torch.randint(0, 2, (number, len(value))).float()
        labels = torch.where(value.isnan(), even, value).to(device)
        for part in labels.split(batch_size):
            faces = backend.sample(part)
            images.append(to_pixels(faces))
            if given and editor.can("classify"):
                read.append(backend.classify(faces).cpu())
    probability = _means(torch.cat(read), value, backend.attributes) if read else {}
    return Samples(np.concatenate(images), "label" if given else "prior", probability)


def _check_heeds(backend: Backend, column: int, seed: int, device: torch.device) -> None:
    """VisagistError where the same noise gives the same faces with a label and without it."""
    drawn = []
    for label in (0.0, 1.0):
        labels = torch.zeros(2, len(backend.attributes), device=device)
        labels[:, column] = label
        with torch.inference_mode(), seeded(seed, device):
            drawn.append(backend.sample(labels))
    if torch.equal(*drawn):
        raise VisagistError(
            f"{backend.name} does not heed {backend.attributes[column]} when it generates: sample without it, or with a "
            "model that is conditioned on it"
        )


def _means(read: Tensor, value: Tensor, attributes: tuple[str, ...]) -> dict[str, float]:
    """The mean probability of each value asked for, of probabilities [N, A] that attributes are present."""
    means = torch.where(value == 1, read, 1 - read).mean(dim=0).tolist()
    return {name: mean for name, mean, asked in zip(attributes, means, (~value.isnan()).tolist()) if asked}


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's global noise begins at the seed inside, and goes on afterwards as if nothing had been drawn."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
