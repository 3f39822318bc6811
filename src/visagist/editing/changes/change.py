"""From what a model brings to a face, in its own square, to what is added to the photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.editing.changes.masks import FEATHER, RECOLOURED, box_of, mask_of, those_beside
from visagist.editing.modes import Mode
from visagist.faces.alignment import Alignment
from visagist.faces.detection import Box
from visagist.faces.geometry import transform_points, warp_array
from visagist.photos.colour import add_detail
from visagist.runtime.arrays import Floats

REPAINTED = 0.12  # of the range of pixels: where a refiner changes a face by so much, nothing of its old texture is left
REACH = 0.0375  # sides of the model's square to either side over which a change of colours is fitted
EVEN = 2e-4  # variance of colours from which on they tell where a change ends
STEEPEST = 1.0  # of a fit: so much a colour channel may change with another
BLUR = 2  # pixels of the model's square to either side over which that amount is a mean
AT_ONCE = 1 << 16  # pixels whose change is computed at a time, so that what is between fits into a processor's cache
READ = 3  # pixels of it beyond a change in which bicubic sampling still sees the change


@dataclass(frozen=True)
class Change:
    """What one edit does to one part of an upright RGB photograph.

    box     left, top, right, bottom in pixels of the photograph, inside it
    detail  [h, w, 3] float32, signed, to be added to pixels in [0, 1]; the mask is in it, and where that is 0 it is 0
    seen    what the model saw, as a box that holds the other; None where it saw no more
    """

    box: Box
    detail: NDArray[np.float32]
    seen: Box | None = None

    @property
    def surroundings(self) -> Box:
        """The box to be shown to someone who wants to see the edit."""
        return self.seen or self.box


def apply_changes(pixels: NDArray[np.uint8], changes: Sequence[Change]) -> NDArray[np.uint8]:
    """Add changes to a copy of the photograph [H, W, 3]: clip(round(pixels + 255 detail)) inside each box."""
    edited = np.array(pixels, order="C")
    for change in changes:
        left, top, right, bottom = change.box
        add_detail(edited[top:bottom, left:right], change.detail)
    return edited


def change_of(
    pixels: NDArray[np.uint8], alignment: Alignment, square: Floats, image: Floats, mode: Mode,
    neighbours: Sequence[Alignment], recoloured: bool = False,
) -> Change:  # fmt: skip
    """The change of a face, seen in `square` [3, S, S], by what a model brings to it, `image` [3, S, S].

    Faces beside it keep their own pixels. What is finer than the model sees goes with the old picture where a refiner paints
    something else: edges of teeth or of frames. Where hair or skin is `recoloured`, it follows the photograph's colours
    (`colour_fit`). Elsewhere the photograph's own texture stays.
    """
    seen = box_of(alignment, pixels)
    fine = alignment.enlargement > 1
    repainted, refitted = fine and mode is Mode.PHOTO, fine and recoloured and mode is Mode.DETAIL
    reach = 2 * _radius(image) if refitted else BLUR
    left, first, right, last = box = _touched(image, alignment, seen, reach) if mode.keeps_pixels else seen
    beside = those_beside(box, neighbours, pixels)
    layers = image
    if repainted:
        layers = np.concatenate([image, square, _amount(image)[None]])
    elif refitted:
        layers = colour_fit(square, image).reshape(12, *image.shape[1:])
    layers = np.ascontiguousarray(layers)
    detail = np.empty((last - first, right - left, 3), np.float32)
    rows = max(AT_ONCE // (right - left), 1)
    for top in range(first, last, rows):
        strip = (left, top, right, min(top + rows, last))
        size = (strip[3] - top, right - left)
        sampled = warp_array(layers, alignment.to_model, size, (left, top)).transpose(1, 2, 0)
        shown = sampled[..., :3]
        if not mode.keeps_pixels:
            shown = shown - _in_floats(pixels, strip)
        elif repainted:
            shown = shown - (_in_floats(pixels, strip) - sampled[..., 3:6]) * np.clip(sampled[..., 6:], 0, 1)
        elif refitted:
            slopes = sampled.reshape(*sampled.shape[:2], 3, 4)
            shown = np.einsum("hwij,hwj->hwi", slopes[..., :3], _in_floats(pixels, strip)) + slopes[..., 3]
        mask = mask_of(alignment, strip, beside, RECOLOURED if recoloured else FEATHER)[..., None]
        np.multiply(shown, mask, out=detail[top - first : strip[3] - first])
    return Change(box, detail, seen)


def merge_changes(first: Change, second: Change) -> Change:
    """Two changes of one photograph as one."""
    left, top, right, bottom = _around(first.box, second.box)
    detail = np.zeros((bottom - top, right - left, 3), np.float32)
    for change in (first, second):
        a, b, c, d = change.box
        detail[b - top : d - top, a - left : c - left] += change.detail
    return Change((left, top, right, bottom), detail, _around(first.surroundings, second.surroundings))


def _around(first: Box, second: Box) -> Box:
    """The box that holds both."""
    left, top, right, bottom = zip(first, second)
    return min(left), min(top), max(right), max(bottom)


def _in_floats(pixels: NDArray[np.uint8], box: Box) -> NDArray[np.float32]:
    left, top, right, bottom = box
    return pixels[top:bottom, left:right].astype(np.float32) / np.float32(255)


def _amount(painted: Floats) -> Floats:
    """How much [S, S] of the old texture goes, in [0, 1], where a refiner adds `painted` [3, S, S]."""
    return np.clip(_blurred(np.abs(painted).max(0)) / np.float32(REPAINTED), 0, 1)


def colour_fit(square: Floats, change: Floats) -> Floats:
    """A change [3, S, S] of pixels [3, S, S] as straight lines of their colours, [3, 4, S, S]: of red, green, blue and 1.

    As a guided filter (He, Sun and Tang, 2010) of colours: edges of what changes become those of the photograph, and what
    is finer than the model sees changes as the coarser does.
    """
    radius = _radius(square)
    x, y = square.astype(np.float64), change.astype(np.float64)
    products = (x[:, None] * x[None], y[:, None] * x[None])
    mean_x, mean_y = _means(x, radius), _means(y, radius)
    spread = _means(products[0], radius) - mean_x[:, None] * mean_x[None]
    shared = _means(products[1], radius) - mean_y[:, None] * mean_x[None]
    spread += EVEN * np.eye(3)[:, :, None, None]
    slopes = np.linalg.solve(spread.transpose(2, 3, 0, 1), shared.transpose(2, 3, 1, 0)).transpose(3, 2, 0, 1)
    slopes = slopes.clip(-STEEPEST, STEEPEST)
    rest = mean_y - (slopes * mean_x).sum(1)
    return _means(np.concatenate([slopes, rest[:, None]], 1), radius).astype(np.float32)


def _radius(image: Floats) -> int:
    return max(round(REACH * image.shape[-1]), 1)


def _means(planes: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """The mean of the square of `radius` pixels around each pixel of planes [..., S, S]; beyond them lie their edges."""
    width = 2 * radius + 1
    for axis in (-2, -1):
        padding = [(0, 0)] * planes.ndim
        padding[axis] = (radius + 1, radius)
        sums = np.moveaxis(np.pad(planes, padding, "edge").cumsum(axis), axis, -1)
        planes = np.moveaxis((sums[..., width:] - sums[..., :-width]) / width, -1, axis)
    return planes


def _blurred(plane: Floats) -> Floats:
    """The mean [S, S] of the square of `BLUR` pixels around each of a plane, beyond which lie zeros."""
    padded = np.pad(plane, BLUR)
    rows = np.lib.stride_tricks.sliding_window_view(padded, 2 * BLUR + 1, 0).mean(2, dtype=np.float32)
    return np.lib.stride_tricks.sliding_window_view(rows, 2 * BLUR + 1, 1).mean(2, dtype=np.float32)


def _touched(image: Floats, alignment: Alignment, box: Box, reach: int) -> Box:
    """The part of a box in which a change [3, S, S] of the model's square is seen, `reach` pixels of that beyond it as well.

    One pixel where there is no change.
    """
    changed = np.argwhere(image.any(0))
    if not len(changed):
        return box[0], box[1], box[0] + 1, box[1] + 1
    (top, left), (bottom, right) = changed.min(0) - reach - READ, changed.max(0) + reach + READ
    corners = transform_points(np.array([[left, top], [right, top], [left, bottom], [right, bottom]]), alignment.to_photo)
    low = np.clip(np.floor(corners.min(0)).astype(int), box[:2], np.array(box[2:]) - 1)
    high = np.clip(np.ceil(corners.max(0)).astype(int) + 1, low + 1, box[2:])
    return (*low.tolist(), *high.tolist())
