"""The way from one latent code to another: straight, or along a great circle (Shoemake, 1985).

Both are exact at the ends. Codes are [..., Z] of one shape, shares [T] run from 0 (the first) to 1 (the second), and the
way is [T, ..., Z]. `interpolate_faces` decodes the ways between the codes of faces.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.errors import VisagistError, nearest
from visagist.latent.backend import FaceModel
from visagist.latent.codes import check_has_codes, decode_codes, encode_images
from visagist.methods.base import Code
from visagist.progress import ProgressLike

# Below this sine of the angle between two codes their plane is rounding error.
_FLAT = 1e-4


def linear(first: Tensor, second: Tensor, shares: Tensor) -> Tensor:
    """(1 − t) first + t second. Half-way between two draws from the prior it is nearer to the origin than either."""
    t = _check(first, second, shares)
    return _with_ends(torch.lerp(first, second, t), first, second, t)


def spherical(first: Tensor, second: Tensor, shares: Tensor) -> Tensor:
    """Directions turn evenly from the first to the second, and norms change evenly: equal norms stay as they are.

    Codes in the same direction, and a code without one (all zeros), leave nothing to turn: their way is straight.
    VisagistError for codes in opposite directions, between which no great circle is the shortest.
    """
    t = _check(first, second, shares)
    a, b = (torch.linalg.vector_norm(code, dim=-1, keepdim=True) for code in (first, second))
    pointed = (a > 0) & (b > 0)
    u, v = (code / torch.where(norm > 0, norm, 1) for code, norm in ((first, a), (second, b)))
    # The angle from both chords: arccos alone loses half the digits where codes are nearly parallel.
    across, along = (torch.linalg.vector_norm(chord, dim=-1, keepdim=True) for chord in (u - v, u + v))
    angle = 2 * torch.atan2(across, along)
    sine = torch.sin(angle)
    if bool((pointed & (sine.abs() < _FLAT) & (angle > 1)).any()):
        raise VisagistError("codes in opposite directions have no shortest arc between them: use linear, or a third code")
    turns = pointed & (sine >= _FLAT)
    divisor = torch.where(turns, sine, 1)
    arc = (torch.sin((1 - t) * angle) * u + torch.sin(t * angle) * v) / divisor * torch.lerp(a, b, t)
    return _with_ends(torch.where(turns, arc, torch.lerp(first, second, t)), first, second, t)


WAYS = {"linear": linear, "spherical": spherical}


def interpolate_faces(
    editor: FaceModel, faces: Any, steps: int = 11, kind: str = "linear", progress: ProgressLike = None
) -> NDArray[np.uint8]:
    """The decoded ways from each face to the next, uint8 [N - 1, T, S, S, 3], both ends included.

    `faces` are N at least 2, in any form that `Editor` takes. Posterior means go the way of `kind`, "linear" (Hou, Sun, Shen
    and Qiu, 2019, §4.3.1) or "spherical". Labels that the model decodes beside z go straight from one face's own to the
    other's. VisagistError for fewer than 2 faces or steps, another kind, and a model without a code.
    """
    check_has_codes(editor, "interpolation")
    if kind not in WAYS:
        raise VisagistError(f"no kind of interpolation {kind!r}: {nearest(kind, WAYS)}")
    if steps < 2:
        raise VisagistError(f"a way of {steps} steps has no two ends: give at least 2 steps")
    images = editor.see(faces)
    if len(images) < 2:
        raise VisagistError(f"interpolation goes from one face to another, got {len(images)}: give at least 2")
    z, y = encode_images(editor, images)
    shares = torch.linspace(0, 1, steps)
    between = WAYS[kind](z[:-1], z[1:], shares).transpose(0, 1).flatten(0, 1)
    labels = None if y is None else linear(y[:-1], y[1:], shares).transpose(0, 1).flatten(0, 1)
    return decode_codes(editor, Code(between, labels), progress).reshape(len(images) - 1, steps, *images.shape[1:])


def _check(first: Tensor, second: Tensor, shares: Tensor) -> Tensor:
    """The shares, shaped to multiply codes."""
    if first.shape != second.shape or first.ndim < 1:
        raise VisagistError(f"two codes of one shape are needed, got {list(first.shape)} and {list(second.shape)}")
    if shares.ndim != 1 or not bool(((shares >= 0) & (shares <= 1)).all()):
        raise VisagistError(f"shares of the way are numbers [T] from 0 to 1, got {shares.tolist()}")
    return shares.to(first).reshape(-1, *[1] * first.ndim)


def _with_ends(way: Tensor, first: Tensor, second: Tensor, t: Tensor) -> Tensor:
    """The way with its ends as they were given: rounding would move them."""
    return torch.where(t == 0, first, torch.where(t == 1, second, way))
