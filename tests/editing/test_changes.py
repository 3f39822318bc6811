"""What an edit adds to a photograph that shows more than the model sees."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from visagist.data.crops import template
from visagist.editing.changes.change import apply_changes, change_of, colour_fit
from visagist.editing.modes import Mode
from visagist.faces.alignment import align
from visagist.pixels import to_floats_of

SIDE, LARGER = 32, 8


def striped_photograph() -> NDArray[np.uint8]:
    """Broad waves, which a model of `SIDE` pixels sees, under stripes of two pixels, which it does not."""
    across = np.arange(SIDE * LARGER)
    plane = 120 + 40 * np.sin(across / 24) + 20 * (across % 2) + 0 * across[:, None]
    return np.repeat(plane[..., None], 3, 2).round().astype(np.uint8)


@pytest.mark.parametrize(("recoloured", "kept"), [(True, 0.5), (False, 1.0)])
def test_texture_fades_with_the_colours_that_an_edit_darkens(recoloured: bool, kept: float) -> None:
    pixels = striped_photograph()
    points = (template("centre148", SIDE) + 0.5) * LARGER - 0.5
    alignment = align(points.astype(np.float32), "centre148", SIDE)
    square = to_floats_of(alignment.face(pixels)[None])[0]
    change = change_of(pixels, alignment, square, -0.5 * square, Mode.DETAIL, (), recoloured)
    edited = apply_changes(pixels, [change])[128, 96:160, 0].astype(float)
    assert np.abs(np.diff(edited)).mean() == pytest.approx(20 * kept, rel=0.2)
    assert edited.mean() == pytest.approx(0.5 * pixels[128, 96:160, 0].mean(), rel=0.05)


def test_a_change_of_hair_ends_where_the_hair_ends() -> None:
    drawn = np.random.default_rng(0)
    hair = np.arange(80) < 40
    square = np.where(hair, 0.15, 0.8).astype(np.float32) + drawn.normal(0, 0.02, (3, 80, 80)).astype(np.float32)
    soft = np.clip((43 - np.arange(80)) / 6, 0, 1).astype(np.float32)  # a mask that fades where the hair ends
    change = np.array([0.4, 0.3, 0.1], np.float32)[:, None, None] * soft * np.ones((3, 80, 80), np.float32)
    fit = colour_fit(square, change)
    fitted = np.einsum("ijhw,jhw->ihw", fit[:, :3], square) + fit[:, 3]
    for columns, truth in ((slice(37, 40), 1.0), (slice(40, 43), 0.0)):
        errors = [np.abs(edit[0, :, columns] - 0.4 * truth).mean() for edit in (change, fitted)]
        assert errors[1] < 0.75 * errors[0]


def test_what_changes_alike_where_colours_are_even_leaves_texture_alone() -> None:
    grey = np.full((3, 16, 16), 0.5, np.float32)
    fit = colour_fit(grey, grey * 0 + 0.2)
    np.testing.assert_allclose(fit[:, :3], 0, atol=1e-6)
    np.testing.assert_allclose(fit[:, 3], 0.2, atol=1e-6)
    waves = grey + 0.2 * np.sin(np.arange(16, dtype=np.float32))
    slope = colour_fit(waves, waves)[:, :3].sum(1)[:, 3:-3, 3:-3]
    np.testing.assert_allclose(slope, 1, atol=0.05)
