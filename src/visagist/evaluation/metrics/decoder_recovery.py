"""What a decoder that is never told the label recovers of it from the code, as the judge reads its pictures.

A fresh decoder learns to paint training faces from their codes z alone; a second one, by the same budget, is told the labels
too. Both paint the measured faces. Where the judge reads the attribute in pictures of the second and not in those of the
first, the code has lost it; where it reads it in neither, the pictures are too poor to tell. They are blurry, so that the
judge may be sure of it in none of them: what counts is in which it sees more, the area under the ROC curve of its scores.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.data.faces import Faces
from visagist.evaluation.context import CHUNK, EvaluationContext, Images
from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import auroc_ci, mean_ci
from visagist.latent.codes import encode_images
from visagist.latent.generation import seeded
from visagist.losses import pixel_cross_entropy
from visagist.networks.convolutional import ConvDecoder
from visagist.pixels import to_float, to_pixels

SHOWN = 20_000  # pictures, again and again, whatever the number of faces
WIDTH, BATCH, LEARNING_RATE = 16, 64, 2e-3
LEAST = 100  # training faces
FEWEST = 20  # faces of either class
DEFINITION = f"decoders of width {WIDTH}, {SHOWN} pictures shown, batches of {BATCH}, Adam from {LEARNING_RATE} down to 0"

Codes = NDArray[np.float32]
METRICS = (
    *(
        Metric(f"leakage.{{A}}.{key}.auroc", f"the judge on {words}, area under its ROC curve", "share",
               "lower" if key == "decoder" else "higher", {"beyond": ""})
        for key, words in (
            ("decoder", "pictures by a fresh decoder of z"),
            ("decoder_told", "those by one that is told the label"),
            ("reconstruction", "reconstructions"),
        )
    ),
    Metric("recovery.decoder.mse", "error of a fresh decoder of z (MSE)", better="lower"),
    Metric("recovery.decoder_told.mse", "error of one that is told the label (MSE)", better="lower"),
)  # fmt: skip


class FreshDecoder:
    """A decoder of codes [N, Z] that are standardised as those that it was trained on were."""

    def __init__(self, codes: Codes, image_size: int, device: torch.device) -> None:
        self.mean, self.scale = codes.mean(0), codes.std(0) + 1e-6
        self.network = ConvDecoder(image_size, WIDTH, codes.shape[1]).to(device)
        self.device = device

    def standardised(self, codes: Codes) -> Tensor:
        return torch.from_numpy(((codes - self.mean) / self.scale).astype(np.float32)).to(self.device)

    @torch.inference_mode()
    def __call__(self, codes: Codes) -> Images:
        """Faces [N, S, S, 3]."""
        self.network.eval()
        parts = self.standardised(codes).split(CHUNK)
        return np.concatenate([to_pixels(torch.sigmoid(self.network(part))) for part in parts])


def train_decoder(
    codes: Codes, images: Images, *, seed: int = 0, shown: int = SHOWN, device: torch.device | None = None
) -> FreshDecoder:
    """A decoder from codes [N, Z] to uint8 images [N, S, S, 3], N at least 2, after `shown` pictures of these."""
    device = device or torch.device("cpu")
    size, rng = min(BATCH, len(codes)), np.random.default_rng(seed)
    steps = max(1, shown // size)
    rounds = -(-steps * size // (len(codes) - len(codes) % size))
    order = np.concatenate([rng.permutation(len(codes))[: len(codes) - len(codes) % size] for _ in range(rounds)])
    with seeded(seed, device):
        decoder = FreshDecoder(codes, images.shape[1], device)
        optimizer = torch.optim.Adam(decoder.network.parameters(), LEARNING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        z = decoder.standardised(codes)
        for step in range(steps):
            rows = order[step * size : (step + 1) * size]
            x = to_float(torch.from_numpy(images[rows]), device)
            optimizer.zero_grad()
            pixel_cross_entropy(decoder.network(z[torch.from_numpy(rows).to(device)]), x).backward()
            optimizer.step()
            schedule.step()
    return decoder


def measure_recovery(context: EvaluationContext, shown: int = SHOWN) -> None:
    """`leakage.A.decoder.*`, `decoder_told.*` and `reconstruction.*`, by decoders of at most `context.recovery` faces."""
    missing, attributes, everything = context.results.not_computed, context.labelled, context.everything or context.faces
    why = _hindrance(context, everything)
    if why is not None:
        missing["leakage.*.decoder*"] = missing["recovery.*"] = why
        return
    context.progress.describe("fresh decoders of z")
    training = everything.take(everything.sample("train", context.recovery, context.seed))
    z = encode_images(context.editor, training.images).z.flatten(1).numpy()
    assert context.codes is not None
    with_labels = [
        np.concatenate([codes, _sides(of, attributes)], 1) for codes, of in ((z, training), (context.codes, context.faces))
    ]
    painted = {}
    for name, (learnt, measured) in (("decoder", (z, context.codes)), ("decoder_told", with_labels)):
        decoder = train_decoder(learnt, training.images, seed=context.seed, shown=shown, device=context.device)
        painted[name] = decoder(measured)
    for name, pictures in painted.items():
        error = np.square((pictures.astype(np.float32) - context.faces.images) / 255).mean((1, 2, 3))
        context.results.values[f"recovery.{name}.mse"] = mean_ci(error, context.seed)
    scores = {name: context.scorer.score(pictures) for name, pictures in painted.items()}
    for attribute in attributes:
        _judge(context, attribute, {**scores, "reconstruction": context.unedited_scores})


def _hindrance(context: EvaluationContext, everything: Faces) -> str | None:
    if context.codes is None:
        return f"{context.editor.backend.name} has no code z"
    if not context.recovery:
        return "fresh decoders take a minute or more: give --recovery 4000, so many training faces"
    if not context.labelled:
        return "these faces have no label for the attributes of the model"
    if (context.faces.split == 0).any():
        return "training faces are among those that are measured: a fresh decoder would know them"
    number = min(context.recovery, int((everything.split == 0).sum()))
    return None if number >= LEAST else f"a decoder needs {LEAST} training faces, there are {number}"


def _sides(faces: Faces, attributes: list[str]) -> Codes:
    """−1 or 1 [N, A] of each label."""
    return np.stack([2 * faces.column(name).astype(np.float32) - 1 for name in attributes], axis=1)


def _judge(context: EvaluationContext, attribute: str, scores: dict[str, NDArray[np.float32]]) -> None:
    labels, missing = context.labels(attribute), context.results.not_computed
    for name, read in scores.items():
        key = f"leakage.{attribute}.{name}.auroc"
        if not context.scorer.knows(attribute):
            missing[key] = f"{context.scorer.judge.name} does not know the attribute"
        elif min(labels.sum(), (~labels).sum()) < FEWEST:
            missing[key] = f"an area needs {FEWEST} faces of either class"
        else:
            context.results.values[key] = auroc_ci(context.scorer.column(read, attribute), labels)

