"""Alignment: CelebA's template, the crop of each model, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from portraits import drawn, lay, photograph

from visagist.data.crops import CROPS, TEMPLATE, template
from visagist.faces.alignment import align, between
from visagist.faces.geometry import transform_points


@pytest.mark.parametrize(("crop", "side"), [("centre148", 64), ("centre108", 32), ("centre178", 128), ("square", 64)])
def test_an_aligned_picture_is_seen_as_its_crop_was_in_training(crop: str, side: int) -> None:
    smooth = np.random.default_rng(2).integers(0, 256, (20, 16, 3), dtype=np.uint8)
    picture = np.asarray(Image.fromarray(smooth).resize((178, 218), Image.Resampling.BICUBIC))
    alignment = align(TEMPLATE, crop, side)
    box = CROPS[crop](178, 218)
    trained = np.asarray(Image.fromarray(picture).crop(box).resize((side, side), Image.Resampling.LANCZOS))
    assert np.abs(alignment.face(picture).astype(int) - trained).mean() < 2.5
    assert alignment.misfit == pytest.approx(0, abs=1e-9)
    assert alignment.enlargement == pytest.approx((box[2] - box[0]) / side)
    assert alignment.corners()[[0, 2]] == pytest.approx(np.array([box[:2], box[2:]]) - 0.5)


def test_a_face_is_seen_alike_wherever_and_however_it_lies() -> None:
    picture, points = drawn(1, 200)
    seen = []
    for centre, scale, degrees in (((200, 200), 1.0, 0), ((330, 300), 1.6, 33)):
        photo, matrix = lay(photograph((600, 600)), picture, centre, scale, degrees)
        seen.append(align(transform_points(points, matrix), "centre148", 64).face(photo)[8:56, 8:56].astype(int))
    assert np.abs(seen[0] - seen[1]).mean() < 4


def test_models_of_drawn_faces_see_them_as_they_were_drawn() -> None:
    usual = np.mean([drawn(i)[1] for i in range(30)], axis=0)
    assert np.abs(template("drawn", 160) - usual).max() < 4
    assert template("none", 64) == pytest.approx(template("centre178", 64))


def test_the_way_back_and_between_models_is_exact() -> None:
    noise = np.random.default_rng(0).normal(size=(5, 2))
    points = transform_points(TEMPLATE, np.array([[2.0, -0.7, 40], [0.7, 2.0, -30]])) + noise
    one, other = align(points, "centre148", 64), align(points, "centre178", 128)
    assert transform_points(transform_points(points, one.to_model), one.to_photo) == pytest.approx(points)
    directly = transform_points(points, other.to_model)
    assert transform_points(transform_points(points, one.to_model), between(one, other)) == pytest.approx(directly)
    assert 0 < one.misfit < 0.05
    assert one.misfit == pytest.approx(other.misfit, rel=0.2)
