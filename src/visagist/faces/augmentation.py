"""Augmentation of the landmark network's training pictures: jittered and rotated crops, degraded pixels, negatives.

A box is a center [B, 2] and a width [B] in pixels of its picture and an angle [B] in radians, clockwise. Points in shares of
a box are [B, P, 2] from its upper left corner.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from visagist.data.crops import is_picture
from visagist.errors import VisagistError
from visagist.faces.geometry import sample_points

GROUNDS, GROUND_SIDE = 240, 256
DRAWN_COLOURS = 6


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
    return sample_points(pictures, _grid(boxes, side).unflatten(1, (side, side)))


def _grid(boxes: Boxes, side: int) -> Tensor:
    """The middles [B, side², 2] of a box's pixels, in pixels of its picture."""
    steps = (torch.arange(side) + 0.5) / side - 0.5
    grid = torch.stack([steps.expand(side, side), steps[:, None].expand(side, side)], -1).reshape(1, -1, 2)
    return boxes.center[:, None] + boxes.width[:, None, None] * _rotate(grid, boxes.angle)


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
    zoom = torch.where(far, _symmetric(b) * 0.4, torch.randn(b) * 0.07)
    shift = torch.where(far[:, None], _symmetric(b, 2) * 0.5, torch.randn(b, 2) * 0.07)
    return Boxes(points.mean(1) + shift * unit[:, None], scale * unit * zoom.exp(), angle)


def negative_boxes(points: Tensor, unit: Tensor, scale: float) -> Boxes:
    """Random boxes without an upright face in the middle: deep inside it, beside it, on its side or upside down.

    Nearly half show a face the wrong way up, about its middle or beside: hair and chin look like
    eyes and mouth then.
    """
    b = len(points)
    kind, direction = torch.rand(b), torch.rand(b) * 2 * math.pi
    inside, turned = kind < 0.15, kind >= 0.55
    width = torch.where(inside, 0.25 + torch.rand(b) * 0.25, 0.5 + torch.rand(b) * 0.8) * scale * unit
    width = torch.where(turned, scale * unit * torch.exp(_symmetric(b) * 0.4), width)
    distance = torch.where(inside, torch.rand(b) * 0.5 * scale * unit, width * (0.3 + torch.rand(b) * 0.6))
    distance = torch.where(turned, torch.rand(b) * 1.2 * unit, distance)
    angle = torch.where(turned, math.pi + _symmetric(b) * 1.8, _symmetric(b) * 0.8)
    center = points.mean(1) + distance[:, None] * torch.stack([direction.cos(), direction.sin()], -1)
    return Boxes(center, width, angle)


def outside_picture(boxes: Boxes, side: int, whole: int) -> Tensor:
    """Which pixels [B, 1, side, side] of crops of boxes lie beyond a picture of `whole` pixels a side."""
    points = _grid(boxes, side)
    return ((points < -0.5) | (points > whole - 0.5)).any(-1).unflatten(1, (side, side))[:, None]


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
    far = (torch.rand(b, 1, 1, 1) < 0.15).float() * (2.4 * torch.rand(b, 1, 1, 1) - 1.3)
    contrast, light = 1 + _symmetric(b, 1, 1, 1).to(x) * 0.4, torch.exp(_symmetric(b, 1, 1, 1) * 0.4 + far).to(x)
    x = ((x - mean) * contrast + mean).clamp(1e-3, 1).pow(gamma) * light * (1 + _symmetric(b, 3, 1, 1).to(x) * 0.12)
    grey = (torch.rand(b, 1, 1, 1) < 0.15).to(x)
    x = grey * x.mean(1, keepdim=True) + (1 - grey) * x
    noise = torch.rand(b, 1, 1, 1).to(x).square() * 0.08
    return compress((x + noise * torch.randn(x.shape).to(x)).clamp(0, 1))


def _blur(x: Tensor, share: float = 0.4) -> Tensor:
    """Reduce some of the pictures to between a quarter and the whole of their side and enlarge them again."""
    chosen, side = torch.rand(len(x)) < share, x.shape[-1]
    if not chosen.any():
        return x
    small = int(torch.randint(side // 4, side, ()))
    reduced = F.interpolate(x[chosen], size=small, mode="bilinear", antialias=True, align_corners=False)
    x = x.clone()
    x[chosen] = F.interpolate(reduced, size=side, mode="bilinear", align_corners=False)
    return x


def _cover_parts(x: Tensor, share: float = 0.35) -> Tensor:
    """Cover some of the pictures beyond a line, as where a photograph ends, or by a patch, plain or with a texture."""
    b, steps = len(x), torch.linspace(-1, 1, x.shape[-1])
    direction, start = torch.rand(b, 1, 1) * 2 * math.pi, 0.15 + torch.rand(b, 1, 1) * 0.7
    straight = (direction / (math.pi / 2)).round() * (math.pi / 2) + _symmetric(b, 1, 1) * 0.3
    direction = torch.where(torch.rand(b, 1, 1) < 0.5, straight, direction)
    beyond = steps * direction.cos() + steps[:, None] * direction.sin() > start
    center, half = _symmetric(b, 2, 1, 1) * 0.8, 0.1 + torch.rand(b, 2, 1, 1) * 0.2
    patch = ((steps - center[:, 0]).abs() < half[:, 0]) & ((steps[:, None] - center[:, 1]).abs() < half[:, 1])
    which = torch.rand(b, 1, 1)
    hidden = (beyond & (which < 0.7 * share)) | (patch & (which > 1 - 0.3 * share))
    over = torch.where(torch.rand(b, 1, 1, 1) < 0.5, torch.rand(b, 3, 1, 1), textures(b, x.shape[-1]))
    return torch.where(hidden[:, None].to(x.device), over.to(x), x)


def compress(x: Tensor, share: float = 0.2) -> Tensor:
    """Write some of the pictures as JPEG of low quality and read them again."""
    for row in torch.nonzero(torch.rand(len(x)) < share)[:, 0].tolist():
        quality, stream = int(torch.randint(15, 70, ())), io.BytesIO()
        pixels = (x[row].detach().float().cpu() * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "JPEG", quality=quality)
        read = torch.from_numpy(np.array(Image.open(stream))).permute(2, 0, 1)
        x[row] = read.to(x) / 255
    return x


def ground_files(folder: str | None) -> list[Path]:
    """The pictures without faces of a folder, none where no folder is named; VisagistError where it holds none."""
    if folder is None:
        return []
    path = Path(folder).expanduser()
    files = sorted(p for p in path.iterdir() if is_picture(p.name)) if path.is_dir() else []
    if not files:
        raise VisagistError(f"no pictures in {folder!r}: grounds is a folder of photographs without faces")
    return files


def read_grounds(folder: str | None, number: int) -> Tensor:
    """As `make_grounds`, of the photographs of a folder."""
    photos = []
    for path in ground_files(folder):
        with Image.open(path) as picture:
            photos.append(np.asarray(picture.convert("RGB")))
    return make_grounds(photos, 0, number)


def make_grounds(photos: list[NDArray[np.uint8]], seed: int, number: int = GROUNDS, side: int = GROUND_SIDE) -> Tensor:
    """Pictures [number, 3, side, side] uint8 without faces: drawn, every other one a crop of one of these photographs."""
    draw = np.random.default_rng(seed)
    pictures = []
    for row in range(number):
        if photos and row % 2:
            pictures.append(_crop_of(photos[draw.integers(len(photos))], side, draw))
        elif row % 4 == 0:
            pictures.append(_dead_leaves(side, draw))
        else:
            pictures.append(_natural_noise(side, draw))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def _crop_of(photo: NDArray[np.uint8], side: int, draw: np.random.Generator) -> NDArray[np.uint8]:
    height, width = photo.shape[:2]
    wide = int(min(height, width) * np.exp(draw.uniform(np.log(0.25), 0)))
    left, top = draw.integers(width - wide + 1), draw.integers(height - wide + 1)
    part = Image.fromarray(photo[top : top + wide, left : left + wide]).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(part)


def _natural_noise(side: int, draw: np.random.Generator) -> NDArray[np.uint8]:
    """Noise with the spectrum of photographs, 1 / f and steeper, its colours alike."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)) + 1 / side
    fields = np.fft.irfft2(np.fft.rfft2(draw.standard_normal((3, side, side))) / frequency ** draw.uniform(0.8, 1.6))
    fields /= fields.std((1, 2), keepdims=True)
    mixed = fields[:1] + draw.uniform(0, 0.6) * fields
    value = draw.uniform(0.25, 0.75, (3, 1, 1)) + draw.uniform(0.05, 0.25) * mixed
    return (255 * value.clip(0, 1)).astype(np.uint8).transpose(1, 2, 0)


def _dead_leaves(side: int, draw: np.random.Generator) -> NDArray[np.uint8]:
    """Ellipses, boxes, lines, pairs of dots and words over each other (Lee, Mumford and Huang, 2001), all of few colours."""
    colours = draw.integers(0, 256, (DRAWN_COLOURS, 3))
    picture = Image.new("RGB", (side, side), tuple(colours[0].tolist()))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(draw.integers(20, 250))):
        colour = tuple((colours[draw.integers(DRAWN_COLOURS)] + draw.integers(-25, 26, 3)).clip(0, 255).tolist())
        x, y = draw.uniform(-20, side + 20, 2)
        reach = np.exp(draw.uniform(np.log(2), np.log(side / 4)))
        a, b = reach * draw.uniform(0.4, 1, 2)
        kind = draw.random()
        if kind < 0.45:
            pen.ellipse((x - a, y - b, x + a, y + b), fill=colour)
        elif kind < 0.7:
            pen.rectangle((x - a, y - b, x + a, y + b), fill=colour)
        elif kind < 0.85:
            pen.line((x, y, x + draw.uniform(-2, 2) * a * 2, y + draw.uniform(-2, 2) * b * 2), colour, int(1 + reach / 8))
        elif kind < 0.93:
            dot = max(reach / 8, 1)
            for step in (-reach / 3, reach / 3):
                pen.ellipse((x + step - dot, y - dot, x + step + dot, y + dot), fill=colour)
        else:
            letters = "".join(chr(c) for c in draw.integers(33, 127, draw.integers(2, 14)))
            pen.text((x, y), letters, fill=colour, font_size=float(8 + reach / 2))
    return np.asarray(picture)
