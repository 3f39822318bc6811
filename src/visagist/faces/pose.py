"""Estimate yaw from five landmarks, and select the faces with the largest yaw.

    p_i = s R_12 X_i + t       scaled orthography: X_i [3] on a generic head, p_i [2] in the picture, R_12 [2, 3] the first
                               two rows of a rotation R
    M = s R_12                 by least squares over the five points; r_1, r_2 its rows at length 1, r_3 = r_1 x r_2
    yaw = atan2(-R_31, |(R_11, R_21)|),  R = R_z(roll) R_y(yaw) R_x(pitch)

It is the pose of POS (DeMenthon and Davis, 1995, "Model-based object pose in 25 lines of code"), without the iteration that
takes it to perspective. Of a face that is only turned it says tan yaw = (x / w) (e / d): the tip of the nose lies x beside
the center of eyes and mouth, and the eyes 2 w apart, in the picture; on the head the eyes are 2 e apart, the nose d before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visagist.errors import VisagistError
from visagist.faces.points import POINTS

# In half distances of the eyes, x to the right of the picture, y down, z toward the camera. Across and down they are rounded
# from the template that face recognisers align faces to. Depth is a round number, 25 mm where the pupils are 63 mm apart: of
# a face whose nose is a third longer tan yaw is a third too large, and the order of faces is much the same.
HEAD = np.array([[-1, 0, 0], [1, 0, 0], [0, 1.15, 0.8], [-0.83, 2.3, 0], [0.83, 2.3, 0]], np.float64)


def yaw(points: ArrayLike) -> NDArray[np.float64]:
    """Degrees [...] by which faces are turned, of landmarks [..., 5, 2] in pixels as in `POINTS`; nan where one is missing.

    Between -90 and 90, positive where the nose points to the right of the picture. Raises VisagistError for other shapes.
    """
    p = np.asarray(points, np.float64)
    if p.shape[-2:] != (5, 2):
        raise VisagistError(f"landmarks are [..., 5, 2] ({', '.join(POINTS)}), got {list(p.shape)}")
    fit = np.linalg.pinv(HEAD - HEAD.mean(0))
    M = np.swapaxes(fit @ (p - p.mean(-2, keepdims=True)), -1, -2)
    length = np.linalg.norm(M, axis=-1, keepdims=True)
    r = np.divide(M, length, out=np.full_like(M, np.nan), where=length > 0)
    r_31 = np.cross(r[..., 0, :], r[..., 1, :])[..., 0]
    return np.degrees(np.arctan2(-r_31, np.hypot(r[..., 0, 0], r[..., 1, 0])))


def turned_most(angles: NDArray[np.floating], number: int) -> NDArray[np.int64]:
    """Rows of the `number` largest |angle| of angles [N], the largest first; those that are nan are left out."""
    known = np.flatnonzero(~np.isnan(angles))
    return known[np.argsort(-np.abs(angles[known]), kind="stable")][:number]
