"""What the landmark network's training pictures go through: cut out askew, badly lit and stored, or no face at all.

A box is a middle [B, 2] and a width [B] in pixels of its picture and an angle [B] in radians, clockwise. Points in shares of
a box are [B, P, 2] from its upper left corner.
"""

from __future__ import annotations

import io
import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


class Boxes(NamedTuple):
    """Squares in pictures: middles [B, 2] and widths [B] in pixels, angles [B] in radians, clockwise."""

    middle: Tensor
    width: Tensor
    angle: Tensor


def _symmetric(*shape: int) -> Tensor:
    return torch.rand(*shape) * 2 - 1


def _turned(vectors: Tensor, angle: Tensor) -> Tensor:
    """Vectors [B, P, 2] turned by angles [B], clockwise where y points down."""
    c, s = torch.cos(angle)[:, None], torch.sin(angle)[:, None]
    x, y = vectors.unbind(-1)
    return torch.stack([c * x - s * y, s * x + c * y], -1)


def cut(pictures: Tensor, boxes: Boxes, side: int) -> Tensor:
    """The boxes of pictures [B, 3, S, S] as [B, 3, side, side]; beyond a picture its edge goes on."""
    steps = (torch.arange(side) + 0.5) / side - 0.5
    grid = torch.stack([steps.expand(side, side), steps[:, None].expand(side, side)], -1).reshape(1, -1, 2)
    places = boxes.middle[:, None] + boxes.width[:, None, None] * _turned(grid, boxes.angle)
    grid = ((2 * places + 1) / pictures.shape[-1] - 1).unflatten(1, (side, side)).to(pictures)
    return F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def inside(points: Tensor, boxes: Boxes) -> Tensor:
    """Points [B, P, 2] in pixels of the pictures in shares of their boxes."""
    return _turned(points - boxes.middle[:, None], -boxes.angle) / boxes.width[:, None, None] + 0.5


def outside(points: Tensor, boxes: Boxes) -> Tensor:
    """The way back from `inside`."""
    return boxes.middle[:, None] + boxes.width[:, None, None] * _turned(points - 0.5, boxes.angle)


def around(points: Tensor, unit: Tensor, breadth: float, close: Tensor) -> Boxes:
    """Boxes as a finder gives them, or, where `close` [B] says so, as a first look leaves them for a second.

    Points [B, 5, 2]; `unit` [B] is the distance of the eyes, of which a box is `breadth` wide.
    """
    b = len(points)
    far = ~close
    angle = torch.where(far, _symmetric(b) * math.radians(45), torch.randn(b) * math.radians(5))
    zoom = torch.where(far, _symmetric(b) * 0.3, torch.randn(b) * 0.07)
    shift = torch.where(far[:, None], _symmetric(b, 2) * 0.4, torch.randn(b, 2) * 0.07)
    return Boxes(points.mean(1) + shift * unit[:, None], breadth * unit * zoom.exp(), angle)


def astray(points: Tensor, unit: Tensor, breadth: float) -> Boxes:
    """Boxes that show no upright face: beside it, deep inside it, or upside down."""
    b = len(points)
    kind, way = torch.rand(b), torch.rand(b) * 2 * math.pi
    width = torch.where(kind < 0.3, 0.25 + torch.rand(b) * 0.25, 0.5 + torch.rand(b) * 0.8) * breadth * unit
    reach = torch.where(kind < 0.3, torch.rand(b) * 0.5 * breadth * unit, width * (0.4 + torch.rand(b) * 0.5))
    turned = kind > 0.9
    angle = torch.where(turned, math.pi + _symmetric(b) * 1.2, _symmetric(b) * 0.8)
    reach = torch.where(turned, 0.05 * width, reach)
    middle = points.mean(1) + reach[:, None] * torch.stack([way.cos(), way.sin()], -1)
    return Boxes(middle, width, angle)


def textures(number: int, side: int) -> Tensor:
    """Pictures [B, 3, side, side] of clouds, stripes and flat colours, which no face is in."""
    clouds = F.interpolate(torch.rand(number, 3, 4, 4), size=side, mode="bicubic", align_corners=False)
    fine = F.interpolate(torch.rand(number, 1, 16, 16), size=side, mode="bilinear", align_corners=False) - 0.5
    steps = torch.linspace(-1, 1, side)
    way, pace = torch.rand(number, 1, 1) * math.pi, 3 + torch.rand(number, 1, 1) * 30
    stripes = torch.sin(pace * (steps * way.cos() + steps[:, None] * way.sin()))[:, None]
    shares = torch.rand(number, 3, 1, 1) * torch.tensor([0.8, 0.6, 0.3])[:, None, None]
    mixed = 0.5 + shares[:, :1] * (clouds - 0.5) + shares[:, 1:2] * fine + shares[:, 2:] * stripes
    return mixed.clamp(0, 1)


def disturbed(x: Tensor) -> Tensor:
    """Pictures [B, 3, S, S] in [0, 1] under other light, blurred, noisy, stored as JPEG, partly covered."""
    x = _covered(_blurred(x))
    b = len(x)
    mean = x.mean((1, 2, 3), keepdim=True)
    gamma = torch.exp(_symmetric(b, 1, 1, 1) * 0.5).to(x)
    contrast, light = 1 + _symmetric(b, 1, 1, 1).to(x) * 0.4, torch.exp(_symmetric(b, 1, 1, 1) * 0.4).to(x)
    x = ((x - mean) * contrast + mean).clamp(1e-3, 1).pow(gamma) * light * (1 + _symmetric(b, 3, 1, 1).to(x) * 0.12)
    grey = (torch.rand(b, 1, 1, 1) < 0.15).to(x)
    x = grey * x.mean(1, keepdim=True) + (1 - grey) * x
    noise = torch.rand(b, 1, 1, 1).to(x).square() * 0.08
    return _stored((x + noise * torch.randn(x.shape).to(x)).clamp(0, 1))


def _blurred(x: Tensor, share: float = 0.3) -> Tensor:
    """Some of the pictures reduced to between a third and the whole of their side and enlarged again."""
    chosen, side = torch.rand(len(x)) < share, x.shape[-1]
    if not chosen.any():
        return x
    small = int(torch.randint(side // 3, side, ()))
    reduced = F.interpolate(x[chosen], size=small, mode="bilinear", antialias=True, align_corners=False)
    x = x.clone()
    x[chosen] = F.interpolate(reduced, size=side, mode="bilinear", align_corners=False)
    return x


def _covered(x: Tensor, share: float = 0.2) -> Tensor:
    """Some of the pictures flat from a line on, as where a photograph ends, or under a patch, as behind a hand."""
    b, steps = len(x), torch.linspace(-1, 1, x.shape[-1])
    way, start = torch.rand(b, 1, 1) * 2 * math.pi, 0.45 + torch.rand(b, 1, 1) * 0.5
    beyond = steps * way.cos() + steps[:, None] * way.sin() > start
    place, half = _symmetric(b, 2, 1, 1) * 0.8, 0.1 + torch.rand(b, 2, 1, 1) * 0.2
    patch = ((steps - place[:, 0]).abs() < half[:, 0]) & ((steps[:, None] - place[:, 1]).abs() < half[:, 1])
    which = torch.rand(b, 1, 1)
    hidden = (beyond & (which < share / 2)) | (patch & (which > 1 - share / 2))
    return torch.where(hidden[:, None].to(x.device), torch.rand(b, 3, 1, 1).to(x), x)


def _stored(x: Tensor, share: float = 0.2) -> Tensor:
    """Some of the pictures written as JPEG of a low quality and read again."""
    for row in torch.nonzero(torch.rand(len(x)) < share)[:, 0].tolist():
        quality, stream = int(torch.randint(15, 70, ())), io.BytesIO()
        pixels = (x[row].detach().float().cpu() * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "JPEG", quality=quality)
        read = torch.from_numpy(np.array(Image.open(stream))).permute(2, 0, 1)
        x[row] = read.to(x) / 255
    return x
