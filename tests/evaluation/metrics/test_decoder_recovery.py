"""Fresh decoders on toy codes: what is in the code comes back, and what is not does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from doubles import SIZE, BrightnessJudge, DoNothing, editor_of, evaluate, plain_faces
from torch import Tensor

from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.evaluation import Metrics
from visagist.evaluation.context import EvaluationContext, JudgeScores
from visagist.evaluation.metrics.decoder_recovery import measure_recovery, train_decoder
from visagist.evaluation.statistics import auroc_ci
from visagist.methods.base import Code


class Halves(DoNothing):
    """z is the brightness of the upper half and, with `smile`, of the lower."""

    def __init__(self, smile: bool) -> None:
        super().__init__()
        self.smile = smile

    def encode(self, images: Tensor) -> Code:
        upper, lower = (part.mean((1, 2, 3)) for part in images.split(SIZE // 2, dim=2))
        return Code(torch.stack([upper, lower if self.smile else torch.zeros_like(lower)], 1))

    def decode(self, code: Code) -> Tensor:
        upper, lower = (column.reshape(-1, 1, 1, 1).expand(-1, 3, SIZE // 2, SIZE) for column in code.z.unbind(1))
        return torch.cat([upper, lower], 2)


@pytest.fixture(scope="module")
def faces() -> Faces:
    faces = plain_faces(240)
    return replace(faces, split=np.repeat([0, 2], [160, 80]).astype(np.uint8))


def recovered(faces: Faces, method: DoNothing, number: int = 160, split: str = "test") -> Metrics:
    measured = faces.take(faces.indices(split))
    context = EvaluationContext(
        editor_of(method), JudgeScores(BrightnessJudge()), measured, ("Smiling",), 0, everything=faces, recovery=number
    )
    measure_recovery(context, shown=1600)
    return context.results


def test_a_decoder_that_is_not_told_recovers_what_is_in_the_code(faces: Faces) -> None:
    found = recovered(faces, Halves(smile=True))
    for name in ("decoder", "decoder_told", "reconstruction"):
        assert found[f"leakage.Smiling.{name}.auroc"]["value"] > 0.98, name


def test_what_is_not_in_the_code_comes_back_only_where_the_decoder_is_told(faces: Faces) -> None:
    found = recovered(faces, Halves(smile=False))
    assert found["leakage.Smiling.decoder.auroc"]["value"] == pytest.approx(0.5, abs=0.15)
    assert found["leakage.Smiling.decoder_told.auroc"]["value"] > 0.98
    assert found["recovery.decoder_told.mse"]["value"] < 0.7 * found["recovery.decoder.mse"]["value"]


def test_the_seed_says_what_a_fresh_decoder_becomes(faces: Faces) -> None:
    codes = faces.labels[:, :2].astype(np.float32)
    first, again, other = (train_decoder(codes, faces.images, seed=s, shown=128)(codes[:4]) for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_where_it_is_not_asked_for_or_cannot_be_it_says_why(faces: Faces) -> None:
    few = replace(faces, split=np.repeat([0, 2], [60, 180]).astype(np.uint8))
    for given, number, why in ((faces, 0, "--recovery 4000"), (few, 4000, "100 training faces, there are 60")):
        found = recovered(given, DoNothing(), number)
        assert why in found.not_computed["leakage.*.decoder*"]
        assert not [key for key in found.values if "decoder" in key]
    with pytest.raises(VisagistError, match="0 or more, got -1"):
        evaluate(editor_of(DoNothing()), faces, judge=BrightnessJudge(), recovery=-1)


def test_faces_that_a_decoder_would_train_on_are_not_measured(faces: Faces) -> None:
    found = recovered(faces, DoNothing(), split="all")
    assert "training faces are among those that are measured" in found.not_computed["leakage.*.decoder*"]


def test_an_area_is_the_share_of_pairs_that_are_in_order_whatever_the_threshold() -> None:
    draw = np.random.default_rng(0)
    labels = np.repeat([False, True], 400)
    scores = (draw.normal(size=800) + labels).astype(np.float32)
    found = auroc_ci(1e-3 * scores, labels)
    pairs = scores[labels][:, None] > scores[~labels]
    assert found["value"] == pytest.approx(pairs.mean())
    assert found["low"] < 0.7602 < found["high"], "of two normals one deviation apart"
