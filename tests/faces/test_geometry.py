"""Similarities of the plane: what they recover exactly, and pictures sampled through them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visagist.faces import geometry
from visagist.faces.geometry import (
    Reductions,
    compose,
    estimate_similarity,
    invert,
    scale_of,
    transform_points,
    warp,
    warp_tensor,
)

FACE = np.array([[69.1, 111.1], [107.9, 111.1], [88.5, 134.9], [71.5, 152.5], [105.5, 152.5]])
STAY = np.array([[1.0, 0, 0], [0, 1.0, 0]])


def transform(scale: float, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


@settings(max_examples=50, deadline=None)
@given(st.floats(0.05, 20), st.floats(-180, 180), st.tuples(st.floats(-3000, 3000), st.floats(-3000, 3000)))
def test_a_similarity_is_recovered_exactly(scale: float, degrees: float, shift: tuple[float, float]) -> None:
    wanted = transform(scale, degrees, shift)
    assert estimate_similarity(FACE, transform_points(FACE, wanted)) == pytest.approx(wanted, abs=1e-8 * (1 + scale))
    assert scale_of(wanted) == pytest.approx(scale)
    there_and_back = transform_points(transform_points(FACE, wanted), invert(wanted))
    assert there_and_back == pytest.approx(FACE, abs=1e-6)
    assert compose(wanted, invert(wanted)) == pytest.approx(STAY, abs=1e-6)


def test_points_that_do_not_fit_are_met_by_least_squares_and_never_mirrored() -> None:
    draw = np.random.default_rng(0)
    target = transform_points(FACE, transform(2.0, 20, (5, 7))) + draw.normal(size=FACE.shape)

    def error(matrix: np.ndarray) -> float:
        return float(((transform_points(FACE, matrix) - target) ** 2).sum())

    best = estimate_similarity(FACE, target)
    for other in (transform(2.0, 20, (5, 7)), *(_nudge(draw) for _ in range(20))):
        assert error(best) <= error(other) + 1e-9
    assert np.linalg.det(estimate_similarity(FACE, FACE * [-1, 1])[:, :2]) >= 0


def _nudge(draw: np.random.Generator) -> np.ndarray:
    return transform(2 + 0.1 * draw.normal(), 20 + draw.normal(), tuple(np.array([5, 7]) + draw.normal(size=2)))


def test_points_that_fall_together_give_no_scale() -> None:
    assert scale_of(estimate_similarity(np.ones((5, 2)), FACE)) == 0


def test_sampling_without_a_transform_copies_and_a_shift_of_whole_pixels_shifts() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    assert (warp(pixels, STAY, 30) == pixels[:30, :30]).all()
    assert (warp(pixels, transform(1, 0, (7, 4)), 30) == pixels[4:34, 7:37]).all()
    quarter = warp(pixels, transform(1, 90, (40, 0)), 30)  # pixel (x, y) shows (40 - y, x)
    assert np.abs(quarter.astype(int) - pixels[:30, 40:10:-1].transpose(1, 0, 2)).max() <= 1


def test_a_reduced_picture_has_no_jags() -> None:
    stripes = np.zeros((400, 400, 3), np.uint8)
    stripes[:, ::2] = 255
    small = warp(stripes, transform(7.3, 12, (90, 60)), 32)[:28, :28]
    assert np.abs(small.astype(int) - 127).max() <= 5


def test_beyond_the_photograph_its_edge_goes_on() -> None:
    pixels = np.full((20, 20, 3), 9, np.uint8)
    assert (warp(pixels, transform(1, 0, (-100, 300)), 16) == 9).all()
    assert (warp(pixels, transform(5, 30, (-100, 10)), 16) == 9).all()


def test_a_box_is_sampled_as_the_same_part_of_the_whole() -> None:
    image = torch.rand(3, 16, 16)
    matrix = transform(0.2, 30, (3, 1))
    whole = warp_tensor(image, matrix, (60, 80))
    assert warp_tensor(image, matrix, (25, 30), (40, 20)).numpy() == pytest.approx(whole[:, 20:45, 40:70].numpy(), abs=1e-4)


def test_a_square_is_alike_from_a_photograph_and_from_its_reduction() -> None:
    y, x = np.mgrid[:400, :480]
    photo = np.stack([x // 2, y // 2, (x + y) // 4], -1).astype(np.uint8)
    reduced = photo.reshape(200, 2, 240, 2, 3).mean((1, 3)).astype(np.uint8)
    sizes = Reductions(photo)
    sizes.add(reduced)
    c, s = 5 * np.cos(0.3), 5 * np.sin(0.3)
    coarse = np.array([[c, -s, 90.0], [s, c, 40.0]])
    near = warp(photo, coarse, 48).astype(int)
    assert np.abs(sizes.warp(coarse, 48) - near).max() <= 2
    moved = coarse + np.array([[0, 0, 8], [0, 0, 0]])
    assert np.abs(near - sizes.warp(moved, 48)).mean() > 1
    fine = coarse * [[0.4, 0.4, 1]]
    assert np.array_equal(sizes.warp(fine, 48), geometry.warp_roughly(photo, fine, 48, 1))


def test_means_of_whole_pixels_are_those_of_pillow_strip_by_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (53, 31, 3), dtype=np.uint8)
    monkeypatch.setattr(geometry, "STRIP", 150)
    for factor in (1, 2, 3, 7):
        assert np.array_equal(geometry.reduce_by(pixels, factor), np.asarray(Image.fromarray(pixels).reduce(factor)))


def test_a_square_that_is_only_read_is_nearly_the_one_that_is_painted() -> None:
    y, x = np.mgrid[:300, :300]
    photo = np.stack([x * y // 353, y * 255 // 300, 128 + 90 * np.sin(x / 15)], -1).astype(np.uint8)
    for step in (0.7, 1.6, 4.4):
        matrix = transform(step, 20, (60, 20))
        both = [cut(photo, matrix, 32).astype(int) for cut in (warp, geometry.warp_roughly)]
        assert np.abs(both[0] - both[1]).max() <= 6
