"""A refiner as one module to be exported: masks, sketch and network of an edit of any of its attributes.

Shape letters: A attributes, B batch, S image size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visagist.exporting.modules import Part
from visagist.networks.refinement import STRIDE
from visagist.networks.regions import region_of, soften
from visagist.refining.refiner import Refiner, sketch_of, tone_around


class Repaint(nn.Module):
    """Faces with one attribute painted anew, as `Refiner.repaint` does; the regions of all attributes are tables.

    `images`, `edited` and `rebuilt` are [B, 3, S, S], `code` [1, 2A] is 1 at the attribute and the class it is changed to.
    """

    def __init__(self, refiner: Refiner) -> None:
        super().__init__()
        self.network, grid, side = refiner.refiner, refiner.grid, refiner.image_size
        columns: dict[str, list[Tensor]] = {name: [] for name in ("always", "besides", "joins", "hides", "changed", "box")}
        for name in refiner.attributes:
            region, (rows, across) = region_of(name), grid.box(name, STRIDE)
            always = torch.zeros(side, side, dtype=torch.bool)
            for ellipse in region.ellipses:
                always |= grid.ellipse(ellipse)
            columns["always"].append(always)
            columns["besides"].append(grid.limit(region))
            columns["joins"].append(torch.tensor([float(joins or not region.ellipses) for joins in region.joins]))
            columns["hides"].append(torch.tensor(float(region.hidden)))
            columns["changed"].append(torch.tensor(region.changed))
            columns["box"].append(torch.tensor([rows.start, rows.stop, across.start, across.stop]))
        for name, values in columns.items():
            self.register_buffer(name, torch.stack(values))
        self.always: Tensor
        self.besides: Tensor
        self.joins: Tensor
        self.hides: Tensor
        self.changed: Tensor
        self.box: Tensor

    def forward(self, images: Tensor, edited: Tensor, rebuilt: Tensor, code: Tensor) -> Tensor:
        row = torch.div(code.argmax(1), 2, rounding_mode="floor")
        joins = (self.joins.flatten() * code).sum()
        mask = self._mask(edited - rebuilt, row, joins)
        hidden = mask * self.hides[row].reshape(1, 1, 1, 1)
        sketch = sketch_of(images + edited - rebuilt, edited + tone_around(images - rebuilt, hidden), hidden)
        top, bottom, left, right = self.box[row[0]].unbind(0)
        seen, inside = images[:, :, top:bottom, left:right], mask[:, :, top:bottom, left:right]
        part = (t[:, :, top:bottom, left:right] for t in (sketch, mask, hidden))
        painted = torch.lerp(seen, self.network(seen, *part, code), inside).clamp(0, 1)
        band = images[:, :, top:bottom]
        band = torch.cat([band[..., :left], painted, band[..., right:]], 3)
        return torch.cat([images[:, :, :top], band, images[:, :, bottom:]], 2)

    def _mask(self, change: Tensor, row: Tensor, joins: Tensor) -> Tensor:
        """What is painted, [B, 1, S, S]; see `paint_masks`."""
        amount = F.avg_pool2d(change.abs().amax(1, keepdim=True), 9, 1, 4, count_include_pad=False)
        moved = F.max_pool2d((amount > self.changed[row]).to(change), 9, 1, 4)
        always, besides = (table[row].to(change)[:, None] for table in (self.always, self.besides))
        return soften(torch.maximum(moved * besides * joins, always))


def refiner_parts(refiner: Refiner) -> dict[str, Part]:
    """A refiner's one part."""
    faces = tuple(torch.rand(2, 3, refiner.image_size, refiner.image_size) for _ in range(3))
    code = refiner.code([0], torch.ones(1))
    return {"repaint": Part(Repaint(refiner), (*faces, code), ("images", "edited", "rebuilt", "code"), ("painted",))}
