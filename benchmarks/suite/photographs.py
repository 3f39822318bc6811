"""JPEG photographs to load: drawn faces in the form of CelebA's aligned pictures, 178×218 pixels, quality 90."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from visagist.data.crops import ALIGNED_SIZE
from visagist.data.drawn.synthetic import SyntheticFaces

WIDTH, HEIGHT = ALIGNED_SIZE


def write_photographs(folder: Path, number: int, different: int) -> list[Path]:
    """So many files below `folder`, with a CSV that labels them, of `different` faces: each file is read on its own."""
    folder.mkdir(parents=True)
    kept = []
    left = (HEIGHT - WIDTH) // 2
    for face in SyntheticFaces(different, image_size=HEIGHT).render():
        stream = io.BytesIO()
        Image.fromarray(face[:, left : left + WIDTH]).save(stream, "JPEG", quality=90)
        kept.append(stream.getvalue())
    paths = [folder / f"{i:06d}.jpg" for i in range(number)]
    for i, path in enumerate(paths):
        path.write_bytes(kept[i % different])
    rows = [f"{path.name},{i % 2},train" for i, path in enumerate(paths)]
    (folder / "labels.csv").write_text("\n".join(["file,Smiling,split", *rows]) + "\n")
    return paths


def plainly(path: Path, size: int) -> Image.Image:
    """Decode, crop and resize as a few lines of Pillow do: the same crop and filter as a pack's."""
    return resized(cropped(path), size)


def cropped(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def resized(picture: Image.Image, size: int) -> Image.Image:
    return picture.resize((size, size), Image.Resampling.LANCZOS)


def by_simplejpeg(path: Path, size: int) -> Image.Image:
    """The same with libjpeg-turbo's decoder by a shorter way; the crop is that of `cropped` for upright pictures."""
    from simplejpeg import decode_jpeg

    pixels = decode_jpeg(path.read_bytes(), "RGB")
    top = (pixels.shape[0] - pixels.shape[1]) // 2
    return resized(Image.fromarray(pixels[top : top + pixels.shape[1]]), size)


class Photographs(Dataset[Tensor]):
    """Photographs as a DataLoader's workers read them: floats [3, S, S]."""

    def __init__(self, paths: list[Path], size: int) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Tensor:
        pixels = np.asarray(plainly(self.paths[row], self.size))
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
