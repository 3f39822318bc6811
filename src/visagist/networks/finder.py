"""A small fully convolutional network that finds faces of 12 to 72 pixels, with five points each, in one pass."""

from __future__ import annotations

import copy
import math
import threading
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visagist.networks.finder_levels import LEVELS, OUTPUTS, STRIDE, Level

__all__ = ["LEVELS", "OUTPUTS", "STRIDE", "FinderNet", "Level", "cell_centers"]


CELL = 4  # pixels a side of what the first convolution moves by
STRIP = 1 << 20  # pixels that are read at a time
FILLED = 16  # outputs that a processor's matrix unit computes at once
USUAL_SHARE = 0.005  # of cells that show a face, before training


class FinderNet(nn.Module):
    """Pictures [B, 3, H, W] in [0, 1], sides multiples of `STRIDE`, to cells [B, 12, H / stride, W / stride] of each level.

    A cell holds the logit of a face, the logit of the hidden share of its box, and the offsets of its points from the middle
    of the cell in the level's unit. One convolution takes the picture to a quarter of its side; the coarse level is
    computed from the fine one and added to it again, as in a feature pyramid (Lin et al., 2017).
    """

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        first, fine, coarse = widths
        self.stem = nn.Sequential(*_block(3, first, 6, 4, 1), *_block(first, fine, 3, 2, 1))
        self.fine = nn.Sequential(*_block(fine, fine), *_block(fine, fine))
        self.coarse = nn.Sequential(*_block(fine, coarse, 3, 2, 1), *_block(coarse, coarse), *_block(coarse, coarse))
        self.back = nn.Conv2d(coarse, fine, 1)
        self.fine_cells, self.coarse_cells = nn.Conv2d(fine, OUTPUTS, 1), nn.Conv2d(coarse, OUTPUTS, 1)
        bias = torch.zeros(OUTPUTS)
        bias[0] = -math.log(1 / USUAL_SHARE - 1)
        for cells in (self.fine_cells, self.coarse_cells):
            nn.init.normal_(cells.weight, std=0.01)
            cells.bias = nn.Parameter(bias.clone())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.read_stem(self.stem(4 * (images - 0.5)))

    def read_stem(self, stem: Tensor) -> tuple[Tensor, Tensor]:
        """The cells of each level from what the stem gives."""
        fine = self.fine(stem)
        coarse = self.coarse(fine)
        fine = F.interpolate(self.back(coarse), scale_factor=2).add_(fine).relu_()
        return self.fine_cells(fine), self.coarse_cells(coarse)


class ByteFinder(nn.Module):
    """A finder in use, its norms folded, that reads pictures [B, H, W, 3] of bytes of any size, reduced by a whole number.

    It takes them in strips to a sixteenth of their side, and from there as a whole, to cells as `FinderNet` gives them. The
    scale of bytes and the reduction are in the weights of the first convolution, which reads the pixels of a cell's row as
    one of many channels: so a picture is written once, and a processor's matrix units are better filled than by three
    channels. The means of a cell's pixels are three more of its outputs; with some that are 0 they are as many as such
    units compute at once.
    """

    def __init__(self, network: FinderNet, dtype: torch.dtype, reduction: int = 1) -> None:
        super().__init__()
        first, self.reduction = cast(nn.Conv2d, network.stem[0]), reduction
        outputs = first.out_channels
        self.outputs = -(-(outputs + 3) // FILLED) * FILLED
        wide = first.weight.repeat_interleave(reduction, 2).repeat_interleave(reduction, 3) * (4 / 255 / reduction**2)
        side, margin = CELL * reduction, reduction
        weight = torch.zeros(self.outputs, 3, wide.shape[2], 2 * side)
        weight[:outputs, :, :, : wide.shape[3]] = wide
        for colour in range(3):
            weight[outputs + colour, colour, margin : margin + side, margin : margin + side] = 1 / side**2
        weight = weight.unflatten(3, (2, side)).permute(0, 4, 1, 2, 3).flatten(1, 2)
        reading = nn.Conv2d(weight.shape[1], self.outputs, (weight.shape[2], weight.shape[3]), (side, 1))
        bias = torch.zeros(self.outputs)
        bias[:outputs] = cast(Tensor, first.bias) - 2 * first.weight.sum((1, 2, 3))
        reading.weight, reading.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.rest, self.dtype = copy.deepcopy(network), dtype
        second = cast(nn.Conv2d, self.rest.stem[3])
        second.weight = nn.Parameter(F.pad(second.weight, (0, 0, 0, 0, 0, self.outputs - outputs)))
        for part in (reading, self.rest):
            part.requires_grad_(False).to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.first = activated(reading)
        second.padding = (0, 1)
        self.second, self.means, self.step = activated(second), slice(outputs, outputs + 3), STRIDE * reduction
        self.rest.fine, self.rest.coarse = fuse(self.rest.fine), fuse(self.rest.coarse)
        self._kept = threading.local()

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        return self.read(pictures)[0]

    def read(self, pictures: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """The cells of each level, and the pictures [B, h, w, 3] reduced by `CELL` times as much as they are read."""
        height, width = (-(-side // self.step) * self.step for side in pictures.shape[1:3])
        rows = max(STRIP // (width * self.step), 1) * self.step
        stems, reduced = [], []
        for top in range(0, height, rows):
            x = self.first(self._strip(pictures, top, min(rows, height - top), width, height))
            if top == 0:
                x[:, :, 0] = 0  # beyond the picture the second convolution reads zeros
            means = x[:, self.means, 1:].permute(0, 2, 3, 1).contiguous()
            reduced.append((means.float() + 0.5).to(torch.uint8))
            stems.append(self.second(x))
        return self.rest.read_stem(torch.cat(stems, 2)), torch.cat(reduced, 1)

    def _strip(self, pictures: Tensor, top: int, rows: int, width: int, height: int) -> Tensor:
        """What the first convolution reads of `rows` rows, and of one cell's rows above them.

        Pictures have this width and height by repeating their edges; beyond is grey.
        """
        (b, true_height, true_width, _), margin = pictures.shape, self.reduction
        side = CELL * margin
        start, past = top - side - margin, top + rows + margin
        x = self._scratch(b, past - start, width + side, 3)
        low, high, end = max(start, 0), min(past, true_height), min(past, height)
        inside, right = slice(margin, margin + width), slice(margin + true_width, margin + width)
        x[:, low - start : high - start, margin : right.start] = pictures[:, low:high]
        x[:, low - start : high - start, right] = pictures[:, low:high, -1:]
        x[:, high - start : end - start, inside] = x[:, high - start - 1 : high - start, inside]
        for beyond in (x[:, : low - start], x[:, end - start :], x[:, :, :margin], x[:, :, margin + width :]):
            beyond.fill_(255 / 2)
        return x.view(b, past - start, width // side + 1, 3 * side).permute(0, 3, 1, 2)

    def _scratch(self, *shape: int) -> Tensor:
        """A tensor of this shape whose memory the thread's next call takes again: new pages cost as much as writing."""
        number = math.prod(shape)
        memory: Tensor | None = getattr(self._kept, "memory", None)
        if memory is None or len(memory) < number:
            self._kept.memory = memory = torch.empty(number, dtype=self.dtype)
        return memory[:number].view(shape)


class ActivatedConv(nn.Module):
    """A convolution in use and its ReLU by one call of oneDNN, its weights laid out for that once."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.where = (list(cast(tuple[int, ...], conv.padding)), list(conv.stride), list(conv.dilation), conv.groups)
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(conv.weight.detach(), *self.where)
        self.bias = conv.bias

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.mkldnn._convolution_pointwise(x, self.weight, self.bias, *self.where, "relu", [], "")
        return y


def activated(conv: nn.Conv2d) -> nn.Module:
    """A convolution in use, followed by a ReLU: by one call where torch has it, which no public function of torch gives."""
    has_call = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
    return ActivatedConv(conv) if has_call else nn.Sequential(conv, nn.ReLU(inplace=True))


def fuse(layers: nn.Sequential) -> nn.Sequential:
    """Blocks of `FinderNet` in use, their norms folded."""
    return nn.Sequential(*(activated(layer) for layer in layers if isinstance(layer, nn.Conv2d)))


def _block(before: int, width: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(before, width, kernel, stride, padding, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


def cell_centers(height: int, width: int, stride: int) -> Tensor:
    """The middles [height, width, 2] of a level's cells in pixels of the picture, x before y, pixel centers whole."""
    across, down = (stride * (torch.arange(n) + 0.5) - 0.5 for n in (width, height))
    return torch.stack([across.expand(height, width), down[:, None].expand(height, width)], -1)
