"""Find the faces of a photograph of any size by the shipped finder, in one pass over it and its reductions.

The finder sees faces of 12 to 72 pixels. A photograph is brought to the size at which the smallest faces that are looked for
are `SEEN` pixels wide, and to a quarter of that, and so on until it is no larger than a face. Large ones are read in tiles
that overlap by more than a face.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from visagist import pretrained
from visagist.checkpoints import checkpoint
from visagist.errors import VisagistError
from visagist.faces.finder_decoding import Detections, join, merge, read_cells
from visagist.faces.finder_training import FaceFinder
from visagist.methods.base import Trainable
from visagist.networks.finder import STRIDE
from visagist.passes import Pass, Steps, run

FINDER_MODEL = "finder-120k"
SEEN = 14.0  # pixels, as wide as the smallest faces that are looked for become
SMALLEST = 24  # pixels of the photograph, where nothing else is said
REDUCTION = 4  # from one size of the photograph to the next
LARGEST_SEEN = 72
TILE, OVERLAP = 1024, 96
MAX_ENLARGEMENT = 2.0
PIXELS_AT_ONCE = 1 << 18  # of tiles that pass the network together: more do not fit into a processor's cache


def lookup(name: str) -> type[Trainable]:
    """The trainable class of a finder's checkpoint."""
    if name != FaceFinder.name:
        raise VisagistError(f"no finder of kind {name!r}: it is {FaceFinder.name}")
    return FaceFinder


@lru_cache(maxsize=4)
def load_finder(folder: Path | None = None) -> FaceFinder:
    """The finder of a model folder, that of the zoo if none is named."""
    if folder is None:
        folder = pretrained.ZOO / FINDER_MODEL
        if not folder.is_dir():
            raise VisagistError(
                f"{FINDER_MODEL} does not come with this version: name the folder of one that `visagist train finder` made"
            )
    model, _ = checkpoint.load_model(folder, lookup, kind=FaceFinder.kind)
    model.network.fuse()  # type: ignore[operator,union-attr]
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return cast(FaceFinder, model)


def scan(
    pixels: NDArray[np.uint8], smallest: float = SMALLEST, threshold: float = 0.5, model: FaceFinder | None = None
) -> Detections:
    """The faces of a photograph [H, W, 3] that are at least `smallest` pixels wide, by falling score, each once."""
    return run(scan_steps(pixels, smallest, threshold, load_finder() if model is None else model))


def scan_steps(
    pixels: NDArray[np.uint8], smallest: float, threshold: float, model: FaceFinder
) -> Steps[Detections]:
    """The steps of `scan`."""
    ratio = min(SEEN / smallest, MAX_ENLARGEMENT)
    parts = []
    reduced = _resize(Image.fromarray(pixels), ratio)
    while True:
        there = yield from _scan_size(model, np.asarray(reduced), threshold)
        parts.append(there.moved(reduced.width / pixels.shape[1], 0, 0))
        if max(reduced.size) <= LARGEST_SEEN:
            return merge(join(parts))
        reduced = reduced.reduce(REDUCTION)


def _resize(picture: Image.Image, ratio: float) -> Image.Image:
    width, height = (max(round(side * ratio), 1) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)


def _scan_size(model: FaceFinder, pixels: NDArray[np.uint8], threshold: float) -> Steps[Detections]:
    """The detections in a photograph at one size, doubles among them."""
    parts = []
    for left, top, right, bottom in _tiles(pixels.shape[1], pixels.shape[0]):
        tile = pixels[top:bottom, left:right]
        beyond = [-side % STRIDE for side in tile.shape[:2]]
        padded = np.pad(tile, ((0, beyond[0]), (0, beyond[1]), (0, 0)), "edge")
        most = max(1, PIXELS_AT_ONCE // padded[..., 0].size)
        kind = ("finder", id(model), padded.shape, threshold)
        (there,) = yield Pass(kind, [padded], partial(_pass, model, threshold), most)
        parts.append(there.moved(1, left, top))
    return join(parts)


@torch.inference_mode()
def _pass(model: FaceFinder, threshold: float, tiles: Sequence[NDArray[np.uint8]]) -> list[Detections]:
    """The detections in each of some tiles of one size."""
    x = torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).float().div_(255)
    return read_cells(model(x), threshold)


def _tiles(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    """Boxes that cover a picture, of at most `TILE` pixels a side, that overlap by at least `OVERLAP`."""
    for top, bottom in _spans(height):
        for left, right in _spans(width):
            yield left, top, right, bottom


def _spans(length: int) -> list[tuple[int, int]]:
    if length <= TILE:
        return [(0, length)]
    number = -(-(length - OVERLAP) // (TILE - OVERLAP))
    starts = [round(i * (length - TILE) / (number - 1)) for i in range(number)]
    return [(start, start + TILE) for start in starts]
