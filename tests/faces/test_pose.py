"""How far a face is turned: heads of points that are turned by known angles, in pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from visagist.errors import VisagistError
from visagist.evaluation.extractors.landmark_detectors import detected
from visagist.faces.pose import HEAD, turned_most, yaw

OTHER_HEAD = np.array([[-1.05, 0.05, 0.1], [0.95, 0, 0], [0.03, 1.0, 1.0], [-0.75, 2.1, 0.1], [0.8, 2.2, 0.05]])


def turned(head: NDArray, angle: float, pitch: float = 0, roll: float = 0, distance: float | None = None) -> NDArray:
    """Landmarks [5, 2] in pixels of a head [5, 3] turned about the three axes in turn, seen from afar or from a distance."""
    a, b, c = (np.radians(v) for v in (angle, pitch, roll))
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    x, y, z = (head @ (about_z @ about_y @ about_x).T).T
    closer = 1 if distance is None else distance / (distance - z)
    return 12.5 * np.stack([x * closer, y * closer], 1) + [31.0, 27.0]


@pytest.mark.parametrize("angle", [-70, -30, -5, 0, 12, 45, 80])
@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (15, 0), (0, -20), (-25, 30)])
def test_the_yaw_of_the_generic_head_is_found_whatever_else_it_does(angle: float, pitch: float, roll: float) -> None:
    assert yaw(turned(HEAD, angle, pitch, roll)) == pytest.approx(angle, abs=1e-9)


def test_a_nose_that_points_to_the_right_of_the_picture_is_a_positive_yaw() -> None:
    points = turned(HEAD, 30)
    assert points[2, 0] > points[:2, 0].mean()
    assert yaw(points) > 0
    mirrored = (points * [-1, 1])[[1, 0, 2, 4, 3]]
    assert yaw(mirrored) == pytest.approx(-yaw(points))


def test_of_a_face_that_is_only_turned_the_tangent_is_that_of_the_docstring() -> None:
    points = turned(HEAD, 35)
    beside = points[2, 0] - points[[0, 1, 3, 4], 0].mean()
    half = (points[1, 0] - points[0, 0]) / 2
    assert np.tan(np.radians(yaw(points))) == pytest.approx(beside / half / HEAD[2, 2])


def test_another_head_near_the_camera_keeps_its_order_and_comes_near_its_angles() -> None:
    angles = np.arange(-60, 61, 10)
    found = yaw(np.stack([turned(OTHER_HEAD, angle, 5, 3, distance=12) for angle in angles]))
    assert (np.diff(found) > 0).all()
    assert np.abs(found - angles).max() < 12


def test_landmarks_that_are_missing_have_no_yaw_and_are_never_chosen() -> None:
    points = np.stack([turned(HEAD, angle) for angle in (10, -50, 20, 40)])
    points[1, 3] = np.nan
    angles = yaw(points)
    assert np.isnan(angles).tolist() == [False, True, False, False]
    assert turned_most(angles, 2).tolist() == [3, 2]
    assert turned_most(angles, 9).tolist() == [3, 2, 0]
    assert np.isnan(yaw(np.full((5, 2), 7.0)))  # all at one place


def test_either_side_counts_and_ties_keep_their_order() -> None:
    assert turned_most(np.array([5.0, -30.0, 30.0, 31.0]), 3).tolist() == [3, 1, 2]


def test_a_detector_sees_pixels_in_0_to_1_in_batches_and_must_keep_to_its_shape() -> None:
    images = np.zeros((130, 8, 8, 3), np.uint8)
    images[:, 0, 0, 0] = np.arange(130)

    def corner(batch: torch.Tensor) -> torch.Tensor:
        assert batch.shape[1:] == (3, 8, 8)
        return (batch[:, 0, 0, 0] * 255)[:, None, None].expand(-1, 5, 2)

    np.testing.assert_allclose(detected(corner, images)[:, 4, 1], np.arange(130), atol=1e-4)
    with pytest.raises(VisagistError, match=r"gives \[64, 5, 2\], got \[64, 68, 2\]"):
        detected(lambda batch: torch.zeros(len(batch), 68, 2), images)
    with pytest.raises(VisagistError, match=r"landmarks are \[..., 5, 2\]"):
        yaw(np.zeros((68, 2)))
