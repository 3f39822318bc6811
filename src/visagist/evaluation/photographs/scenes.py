"""Photographs with a face at a known place, made of aligned pictures: larger or smaller, turned, before a blurred ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from visagist.data.crops import ALIGNED_SIZE, CROPS
from visagist.faces.geometry import Matrix, compose, invert, warp, warp_tensor

SIDE = 420  # of a photograph
CROP, SQUARE = "centre148", 128  # of the face that judges see
SOURCE_CROP = "centre178"  # of the pictures that photographs are made of
SCALES, DEGREES, SHIFT = (0.9, 1.7), 12.0, 30.0
EDGE = 10  # pixels of the picture over which it fades into the ground


@dataclass(frozen=True)
class Scene:
    """A photograph [H, W, 3] and the transform from pixels of the square that judges see to its own."""

    pixels: NDArray[np.uint8]
    to_photo: Matrix

    def face(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The face [128, 128, 3] at the known place in this photograph or an edited one."""
        return warp(pixels, self.to_photo, SQUARE)


def lay_out(picture: NDArray[np.uint8], seed: int) -> Scene:
    """A scene with the face of an aligned picture [S, S, 3] of the crop `centre178`; a function of the seed."""
    side = len(picture)
    draw = np.random.default_rng([seed, 9])
    scale = float(np.exp(draw.uniform(*np.log(SCALES)))) * 178 / side
    angle = np.radians(draw.uniform(-DEGREES, DEGREES))
    middle = SIDE / 2 + draw.uniform(-SHIFT, SHIFT, 2)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    onto: Matrix = np.concatenate([turn, (middle - turn @ np.full(2, (side - 1) / 2))[:, None]], 1)
    back = invert(onto)
    image = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float()
    laid = warp_tensor(image, back, (SIDE, SIDE))
    steps = torch.arange(side, dtype=torch.float32)
    rise = (torch.minimum(steps, side - 1 - steps) / EDGE).clamp(0, 1)
    shown = warp_tensor((rise[:, None] * rise)[None], back, (SIDE, SIDE)).clamp(0, 1)
    ground = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    blurred = torch.from_numpy(np.array(ground.filter(ImageFilter.GaussianBlur(SIDE / 14)))).permute(2, 0, 1).float()
    pixels = (blurred + (laid - blurred) * shown).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    return Scene(np.ascontiguousarray(pixels), compose(_square_in_picture(side), onto))


def _square_in_picture(side: int) -> Matrix:
    """From pixels of the judges' square to those of the picture, both of aligned faces."""
    outer, inner = (CROPS[crop](*ALIGNED_SIZE) for crop in (SOURCE_CROP, CROP))
    unit = side / (outer[2] - outer[0])
    scale = (inner[2] - inner[0]) / SQUARE * unit
    left, top = ((inner[axis] - outer[axis]) * unit for axis in (0, 1))
    return np.array([[scale, 0, left + 0.5 * scale - 0.5], [0, scale, top + 0.5 * scale - 0.5]])
