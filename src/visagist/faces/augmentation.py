"""Augmentation of the landmark network's training pictures: jittered and rotated crops, degraded pixels, negatives.

A box is a center [B, 2] and a width [B] in pixels of its picture and an angle [B] in radians, clockwise. Points in shares of
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

from visagist.faces.geometry import sample_points


class Boxes(NamedTuple):
    """Squares in pictures: centers [B, 2] and widths [B] in pixels, angles [B] in radians, clockwise."""

    center: Tensor
    width: Tensor
    angle: Tensor


def _symmetric(*shape: int) -> Tensor:
    return torch.rand(*shape) * 2 - 1


def _rotate(vectors: Tensor, angle: Tensor) -> Tensor:
    """Rotate vectors [B, P, 2] by angles [B], clockwise where y points down."""
    c, s = torch.cos(angle)[:, None], torch.sin(angle)[:, None]
    x, y = vectors.unbind(-1)
    return torch.stack([c * x - s * y, s * x + c * y], -1)


def crop_boxes(pictures: Tensor, boxes: Boxes, side: int) -> Tensor:
    """Crop the boxes of pictures [B, 3, S, S] to [B, 3, side, side]; beyond a picture its edge is repeated."""
    steps = (torch.arange(side) + 0.5) / side - 0.5
    grid = torch.stack([steps.expand(side, side), steps[:, None].expand(side, side)], -1).reshape(1, -1, 2)
    points = boxes.center[:, None] + boxes.width[:, None, None] * _rotate(grid, boxes.angle)
    return sample_points(pictures, points.unflatten(1, (side, side)))


def to_box(points: Tensor, boxes: Boxes) -> Tensor:
    """Points [B, P, 2] in pixels of the pictures, as shares of their boxes."""
    return _rotate(points - boxes.center[:, None], -boxes.angle) / boxes.width[:, None, None] + 0.5


def from_box(points: Tensor, boxes: Boxes) -> Tensor:
    """The inverse of `to_box`."""
    return boxes.center[:, None] + boxes.width[:, None, None] * _rotate(points - 0.5, boxes.angle)


def jittered_boxes(points: Tensor, unit: Tensor, scale: float, close: Tensor) -> Boxes:
    """Random boxes around faces, as a detector gives them or, where `close` [B], as a first pass leaves them for a second.

    Points [B, 5, 2]; `unit` [B] is the distance of the eyes, of which a box is `scale` wide.
    """
    b = len(points)
    far = ~close
    angle = torch.where(far, _symmetric(b) * math.radians(45), torch.randn(b) * math.radians(5))
    zoom = torch.where(far, _symmetric(b) * 0.3, torch.randn(b) * 0.07)
    shift = torch.where(far[:, None], _symmetric(b, 2) * 0.4, torch.randn(b, 2) * 0.07)
    return Boxes(points.mean(1) + shift * unit[:, None], scale * unit * zoom.exp(), angle)


def negative_boxes(points: Tensor, unit: Tensor, scale: float) -> Boxes:
    """Random boxes without an upright face: beside it, deep inside it, or upside down."""
    b = len(points)
    kind, direction = torch.rand(b), torch.rand(b) * 2 * math.pi
    width = torch.where(kind < 0.3, 0.25 + torch.rand(b) * 0.25, 0.5 + torch.rand(b) * 0.8) * scale * unit
    distance = torch.where(kind < 0.3, torch.rand(b) * 0.5 * scale * unit, width * (0.4 + torch.rand(b) * 0.5))
    upside_down = kind > 0.9
    angle = torch.where(upside_down, math.pi + _symmetric(b) * 1.2, _symmetric(b) * 0.8)
    distance = torch.where(upside_down, 0.05 * width, distance)
    center = points.mean(1) + distance[:, None] * torch.stack([direction.cos(), direction.sin()], -1)
    return Boxes(center, width, angle)


def textures(number: int, side: int) -> Tensor:
    """Pictures [B, 3, side, side] of clouds, stripes and flat colours, without faces."""
    clouds = F.interpolate(torch.rand(number, 3, 4, 4), size=side, mode="bicubic", align_corners=False)
    fine = F.interpolate(torch.rand(number, 1, 16, 16), size=side, mode="bilinear", align_corners=False) - 0.5
    steps = torch.linspace(-1, 1, side)
    direction, frequency = torch.rand(number, 1, 1) * math.pi, 3 + torch.rand(number, 1, 1) * 30
    stripes = torch.sin(frequency * (steps * direction.cos() + steps[:, None] * direction.sin()))[:, None]
    shares = torch.rand(number, 3, 1, 1) * torch.tensor([0.8, 0.6, 0.3])[:, None, None]
    mixed = 0.5 + shares[:, :1] * (clouds - 0.5) + shares[:, 1:2] * fine + shares[:, 2:] * stripes
    return mixed.clamp(0, 1)


def degrade(x: Tensor) -> Tensor:
    """Vary the light of pictures [B, 3, S, S] in [0, 1], blur them, add noise, compress by JPEG, cover parts."""
    x = _cover_parts(_blur(x))
    b = len(x)
    mean = x.mean((1, 2, 3), keepdim=True)
    gamma = torch.exp(_symmetric(b, 1, 1, 1) * 0.5).to(x)
    contrast, light = 1 + _symmetric(b, 1, 1, 1).to(x) * 0.4, torch.exp(_symmetric(b, 1, 1, 1) * 0.4).to(x)
    x = ((x - mean) * contrast + mean).clamp(1e-3, 1).pow(gamma) * light * (1 + _symmetric(b, 3, 1, 1).to(x) * 0.12)
    grey = (torch.rand(b, 1, 1, 1) < 0.15).to(x)
    x = grey * x.mean(1, keepdim=True) + (1 - grey) * x
    noise = torch.rand(b, 1, 1, 1).to(x).square() * 0.08
    return compress((x + noise * torch.randn(x.shape).to(x)).clamp(0, 1))


def _blur(x: Tensor, share: float = 0.3) -> Tensor:
    """Reduce some of the pictures to between a third and the whole of their side and enlarge them again."""
    chosen, side = torch.rand(len(x)) < share, x.shape[-1]
    if not chosen.any():
        return x
    small = int(torch.randint(side // 3, side, ()))
    reduced = F.interpolate(x[chosen], size=small, mode="bilinear", antialias=True, align_corners=False)
    x = x.clone()
    x[chosen] = F.interpolate(reduced, size=side, mode="bilinear", align_corners=False)
    return x


def _cover_parts(x: Tensor, share: float = 0.2) -> Tensor:
    """Cover some of the pictures beyond a line, as where a photograph ends, or by a patch, as behind a hand."""
    b, steps = len(x), torch.linspace(-1, 1, x.shape[-1])
    direction, start = torch.rand(b, 1, 1) * 2 * math.pi, 0.45 + torch.rand(b, 1, 1) * 0.5
    beyond = steps * direction.cos() + steps[:, None] * direction.sin() > start
    center, half = _symmetric(b, 2, 1, 1) * 0.8, 0.1 + torch.rand(b, 2, 1, 1) * 0.2
    patch = ((steps - center[:, 0]).abs() < half[:, 0]) & ((steps[:, None] - center[:, 1]).abs() < half[:, 1])
    which = torch.rand(b, 1, 1)
    hidden = (beyond & (which < share / 2)) | (patch & (which > 1 - share / 2))
    return torch.where(hidden[:, None].to(x.device), torch.rand(b, 3, 1, 1).to(x), x)


def compress(x: Tensor, share: float = 0.2) -> Tensor:
    """Write some of the pictures as JPEG of low quality and read them again."""
    for row in torch.nonzero(torch.rand(len(x)) < share)[:, 0].tolist():
        quality, stream = int(torch.randint(15, 70, ())), io.BytesIO()
        pixels = (x[row].detach().float().cpu() * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "JPEG", quality=quality)
        read = torch.from_numpy(np.array(Image.open(stream))).permute(2, 0, 1)
        x[row] = read.to(x) / 255
    return x
