"""What five points say of a face: its tilt and its size."""

from __future__ import annotations

import numpy as np
import pytest

from visagist.faces.geometry import transform_points
from visagist.faces.points import face_scale, inter_ocular, roll
from visagist.faces.pose import HEAD

UPRIGHT = np.array([[69.1, 111.1], [107.9, 111.1], [88.5, 134.9], [71.5, 152.5], [105.5, 152.5]])


@pytest.mark.parametrize("degrees", [-170, -40, 0, 25, 90])
def test_the_tilt_is_that_of_the_head_clockwise_positive(degrees: float) -> None:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    assert roll(transform_points(UPRIGHT, np.array([[c, -s, 4], [s, c, 2]]))) == pytest.approx(degrees)


def test_a_turned_face_keeps_its_size_better_than_the_distance_of_its_eyes() -> None:
    angle = np.radians(50)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    front, side = HEAD[:, :2], (HEAD @ turn.T)[:, :2]
    eyes, whole = inter_ocular(side) / inter_ocular(front), face_scale(side) / face_scale(front)
    assert eyes == pytest.approx(np.cos(angle))
    assert eyes + 0.1 < whole < 1
    assert face_scale(np.stack([UPRIGHT, 2 * UPRIGHT])) == pytest.approx([38.8, 77.6], rel=0.01)
