"""Where an attribute is in an aligned face: the part that an edit of it may paint, and how.

Lengths are in distances of the eyes, from the point between them; x to the right, y down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from visagist.data.crops import template

Ellipse = tuple[float, float, float, float]  # middle x and y, half axes

FACE: Ellipse = (0.0, 0.3, 1.3, 1.5)
BELOW_BROWS: Ellipse = (0.0, 0.5, 0.95, 1.0)
SOFT = 0.06  # width of a mask's edge, in sides of the picture


class Window(StrEnum):
    """The part of the picture that a network must see to paint a region."""

    LOWER = "lower"
    EYES = "eyes"
    UPPER = "upper"
    WHOLE = "whole"


@dataclass(frozen=True)
class Region:
    """The part of a face that an attribute is in.

    ellipses    always painted
    hidden      the network does not see the photograph there, so that nothing of what is taken away shows
    top, bottom limits of what is painted besides, where the decode changes: rows
    within      an ellipse that limits it; none: the whole picture
    without     an ellipse that is left alone but where `ellipses` are
    joins       whether what the decode changes is painted too where the attribute is taken away, and where it is given
    changed     of the range of pixels, mean of a small square: from here on a decode changes something
    """

    ellipses: tuple[Ellipse, ...] = ()
    hidden: bool = False
    top: float = -9.0
    bottom: float = 9.0
    within: Ellipse | None = None
    without: Ellipse | None = None
    joins: tuple[bool, bool] = (True, True)
    changed: float = 0.045
    window: Window = Window.WHOLE


def _hair() -> Region:
    return Region(without=BELOW_BROWS)


REGIONS: dict[str, Region] = {
    "Smiling": Region(((0.0, 0.9, 1.0, 0.74),), True, top=0.2, within=FACE, window=Window.LOWER),
    "Mouth_Slightly_Open": Region(((0.0, 1.08, 0.78, 0.6),), True, top=0.4, within=FACE, window=Window.LOWER),
    "No_Beard": Region(((0.0, 1.2, 1.15, 0.85),), True, top=0.35, within=(0.0, 0.3, 1.5, 1.8), window=Window.LOWER),
    "Mustache": Region(((0.0, 0.85, 0.72, 0.4),), True, top=0.4, within=FACE, window=Window.LOWER),
    "Goatee": Region(((0.0, 1.3, 0.8, 0.7),), True, top=0.4, within=FACE, window=Window.LOWER),
    "Wearing_Lipstick": Region(((0.0, 1.06, 0.72, 0.45),), within=(0.0, 1.1, 0.64, 0.36), window=Window.LOWER),
    "Rosy_Cheeks": Region(((-0.7, 0.65, 0.5, 0.5), (0.7, 0.65, 0.5, 0.5)), top=0.1, within=(0.0, 0.6, 1.1, 0.75),
                          window=Window.LOWER),
    "Heavy_Makeup": Region(within=(0.0, 0.35, 1.15, 1.35)),
    "Pale_Skin": Region(within=(0.0, 0.6, 1.35, 1.9)),
    # Rims of large glasses reach the cheeks, where they are too thin for a small decode to change much. Around glasses that
    # it gives, the decode darkens temples and hair, which must stay.
    "Eyeglasses": Region(((0.0, -0.03, 1.3, 0.64),), True, top=-0.7, bottom=0.85, within=(0.0, 0.3, 1.5, 1.5),
                         joins=(True, False), changed=0.033, window=Window.EYES),
    "Bushy_Eyebrows": Region(((-0.52, -0.36, 0.6, 0.3), (0.52, -0.36, 0.6, 0.3)), bottom=0.0,
                             within=(0.0, -0.24, 1.15, 0.36), window=Window.EYES),
    "Bags_Under_Eyes": Region(((-0.5, 0.28, 0.5, 0.3), (0.5, 0.28, 0.5, 0.3)), top=0.06, within=(0.0, 0.3, 1.0, 0.36),
                              window=Window.EYES),
    "Bangs": Region(((0.0, -0.95, 1.3, 0.7),), True, bottom=-0.1, window=Window.UPPER),
    "Wearing_Hat": Region(((0.0, -1.5, 2.2, 1.15),), True, bottom=0.2, window=Window.UPPER),
    "Bald": Region(((0.0, -1.3, 1.8, 1.0),), True, bottom=0.6),
    **{name: _hair() for name in ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")},
}  # fmt: skip
WHOLE = Region()


def region_of(attribute: str) -> Region:
    """The region of an attribute; of one that is not known, the whole picture, seen and painted where it changes."""
    return REGIONS.get(attribute, WHOLE)


@dataclass(frozen=True)
class Grid:
    """Pixels of an aligned face in lengths of regions, x and y [S, S]."""

    crop: str | None
    side: int
    x: Tensor = field(init=False, repr=False)
    y: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        points: NDArray[np.float64] = template(self.crop, self.side)
        eyes = points[:2].mean(0)
        unit = float(np.linalg.norm(points[1] - points[0]))
        x, y = (np.arange(self.side, dtype=np.float32) - eyes.astype(np.float32)[:, None]) / np.float32(unit)
        object.__setattr__(self, "x", torch.from_numpy(x).expand(self.side, self.side))
        object.__setattr__(self, "y", torch.from_numpy(y)[:, None].expand(self.side, self.side))

    def ellipse(self, ellipse: Ellipse, shift: Tensor | None = None, scale: Tensor | None = None) -> Tensor:
        """The inside of an ellipse, true or false: [S, S], or [B, S, S] of one moved by `shift` [B, 2], sized by `scale`."""
        middle_x, middle_y, half_x, half_y = ellipse
        if shift is None or scale is None:
            return ((self.x - middle_x) / half_x) ** 2 + ((self.y - middle_y) / half_y) ** 2 < 1
        x = (self.x - middle_x - shift[:, 0, None, None]) / (half_x * scale[:, 0, None, None])
        y = (self.y - middle_y - shift[:, 1, None, None]) / (half_y * scale[:, 1, None, None])
        return x.square() + y.square() < 1

    def limit(self, region: Region) -> Tensor:
        """Where a region may be painted besides its ellipses, [S, S]."""
        allowed = (self.y >= region.top) & (self.y <= region.bottom)
        if region.within is not None:
            allowed &= self.ellipse(region.within)
        if region.without is not None:
            allowed &= ~self.ellipse(region.without)
        return allowed


    def box(self, attribute: str, multiple: int) -> tuple[slice, slice]:
        """Rows and columns that hold all of an attribute's mask, their numbers multiples of `multiple`."""
        region = region_of(attribute)
        inside = self.limit(region)
        for ellipse in region.ellipses:
            inside |= self.ellipse(ellipse)
        parts, edge = [], _radius(self.side)
        for axis in (1, 0):
            places = inside.any(axis).nonzero()
            low, high = max(int(places.min()) - edge, 0), min(int(places.max()) + 1 + edge, self.side)
            length = min(-(-(high - low) // multiple) * multiple, self.side)
            start = min(max((low + high - length) // 2, 0), self.side - length)
            parts.append(slice(start, start + length))
        return parts[0], parts[1]


def paint_masks(
    grid: Grid,
    attributes: Sequence[str],
    change: Tensor,
    *,
    jitter: bool = False,
    loosened: float = 1.0,
    joined: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Masks [B, 1, S, S] in [0, 1] of what is painted and of what is hidden, for one attribute a face.

    `change` [B, 3, S, S] is what the decode changes; where that is more than `loosened` times the region's `changed` it is
    painted too, in the faces that `joined` [B] names (all by default). `jitter` moves and sizes the ellipses, for training.
    """
    count, side = len(change), grid.side
    amount = F.avg_pool2d(change.abs().amax(1, keepdim=True), 9, 1, 4, count_include_pad=False)
    limits = torch.tensor([loosened * region_of(name).changed for name in attributes])
    moved = F.max_pool2d((amount > limits[:, None, None, None]).float(), 9, 1, 4)[:, 0] > 0
    shift = torch.zeros(count, 2)
    scale = torch.ones(count, 2)
    if jitter:
        shift, scale = torch.rand(count, 2) * 0.24 - 0.12, torch.rand(count, 2) * 0.4 + 0.85
    painted = torch.zeros(count, side, side)
    hides = torch.zeros(count, 1, 1, 1)
    for name in dict.fromkeys(attributes):
        rows = torch.tensor([attribute == name for attribute in attributes])
        region = region_of(name)
        inside = moved[rows] & grid.limit(region)
        if joined is not None:
            inside &= (joined[rows] | torch.tensor(not region.ellipses))[:, None, None]
        for ellipse in region.ellipses:
            inside |= grid.ellipse(ellipse, shift[rows], scale[rows])
        painted[rows] = inside.float()
        hides[rows] = float(region.hidden)
    mask = soften(painted[:, None])
    return mask, mask * hides


def soften(mask: Tensor) -> Tensor:
    """A mask [B, 1, S, S] with an even edge in place of a hard one."""
    radius = _radius(int(mask.shape[-1]))
    return F.avg_pool2d(F.pad(mask, (radius,) * 4, mode="replicate"), 2 * radius + 1, 1)


def _radius(side: int) -> int:
    return max(1, round(SOFT * side / 2))
