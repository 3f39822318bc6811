"""Sharpness: on pictures whose Laplacian is known, and in a report."""

from __future__ import annotations

import numpy as np
import pytest
from doubles import BrightnessJudge, Perfect, editor_of, evaluate, plain_faces
from scipy.ndimage import gaussian_filter
from tiny_models import tiny_model

from visagist.editing.editor import Editor
from visagist.evaluation.metrics.reconstruction import laplacian_variance
from visagist.methods.dcgan import DCGAN


def test_a_chequerboard_has_the_laplacian_worked_out_by_hand_and_a_ramp_has_next_to_none() -> None:
    board = np.indices((16, 16)).sum(0) % 2 * 100
    ramp = np.tile(np.arange(16) * 10, (16, 1))
    images = np.stack([board, ramp, np.full((16, 16), 7)])[..., None].repeat(3, -1).astype(np.uint8)
    found = laplacian_variance(images)
    # Inside, four neighbours differ by 100: ±400. At an edge a neighbour is the pixel itself: ±300, at a corner ±200.
    inside, edge, corner = 14 * 14 * 400**2, 4 * 14 * 300**2, 4 * 200**2
    assert found[0] == pytest.approx((inside + edge + corner) / 256)
    assert found[1] == pytest.approx(2 * 16 * 10**2 / 256)
    assert found[2] == pytest.approx(0)


def test_blur_lowers_it_and_brightness_does_not_change_it() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(50, 150, (8, 32, 32, 3), dtype=np.uint8)
    blurred = np.stack([gaussian_filter(image.astype(float), (1, 1, 0)) for image in images]).astype(np.uint8)
    assert (laplacian_variance(blurred) < 0.1 * laplacian_variance(images)).all()
    np.testing.assert_allclose(laplacian_variance(images + 50), laplacian_variance(images))


def test_in_a_report_a_perfect_reconstruction_is_as_sharp_as_its_photograph() -> None:
    faces = plain_faces(60)
    perfect = evaluate(editor_of(Perfect()), faces, judge=BrightnessJudge())
    assert perfect["sharpness.reconstruction"]["value"] == pytest.approx(1)
    assert "perfect does not generate" in perfect.not_computed["sharpness.samples"]
    gan = evaluate(Editor(tiny_model(DCGAN, (), faces.image_size), name="gan"), faces, judge=BrightnessJudge())
    assert gan["sharpness.samples"]["value"] > 0
    assert gan["sharpness.samples"]["n"] == 60
    assert "dcgan does not autoencode" in gan.not_computed["sharpness.reconstruction"]
