"""What an edit adds to a photograph that shows more than the model sees."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from visagist.data.crops import template
from visagist.editing.changes.change import apply_changes, change_of, contrast
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


def test_contrast_is_one_where_little_is_to_be_seen() -> None:
    grey = np.full((3, 16, 16), 0.5, np.float32)
    np.testing.assert_allclose(contrast(grey, grey * 0 + 0.2), 1, atol=1e-3)
    waves = grey + 0.2 * np.sin(np.arange(16, dtype=np.float32))
    np.testing.assert_allclose(contrast(waves, waves)[2:-2, 2:-2], 2, rtol=0.05)
    np.testing.assert_allclose(contrast(waves, 0.5 - waves)[2:-2, 2:-2], 0, atol=0.05)
