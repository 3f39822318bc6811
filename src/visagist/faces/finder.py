"""Find the faces of a photograph of any size by the shipped finder, in one pass over it and its reductions.

The finder sees faces of 12 to 72 pixels. A photograph is brought to the size at which the smallest faces that are looked for
are `SEEN` pixels wide, and to a quarter of that, and so on until it is no larger than a face. Large ones are read in tiles
that overlap by more than a face.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist import pretrained
from visagist.boundary.schema import conform
from visagist.checkpoints.descriptions import Export
from visagist.checkpoints.folders import read_description
from visagist.errors import VisagistError
from visagist.faces.finder_decoding import Detections, join, merge, read_cells
from visagist.faces.geometry import Reductions, reduce_by
from visagist.networks.finder_levels import STRIDE
from visagist.passes import Pass, Steps, run
from visagist.pixels import to_floats_of
from visagist.runtime.engine import has_onnxruntime, has_torch, uses_torch
from visagist.runtime.graphs import Graph

if TYPE_CHECKING:
    from visagist.faces.finder_training import FaceFinder
    from visagist.methods.base import Trainable

KIND = "finder"
FINDER_MODEL = "finder-120k"
SEEN = 12.0  # pixels, as wide as the smallest faces that are looked for become
SMALLEST = 24  # pixels of the photograph, where nothing else is said
REDUCTION = 4  # from one size of the photograph to the next
LARGEST_SEEN = 72
TILE, OVERLAP = 1024, 96
HALVED_TILE = 3072  # where photographs are read as if reduced by two
MAX_ENLARGEMENT = 2.0
LARGE_TILE = 1 << 18  # pixels
PIXELS_AT_ONCE = 1 << 18  # of tiles that pass the network together: more do not fit into a processor's cache


class CellReader(Protocol):
    """What reads tiles [B, H, W, 3]: the cells of each level, arrays or tensors."""

    @property
    def network(self) -> object: ...  # tiles of one size pass one network together
    @property
    def halved(self) -> ByteCells | None: ...  # what reads tiles of a photograph as if reduced by two, if anything does
    def read(self, tiles: NDArray[np.uint8]) -> Sequence[Any]: ...


class TorchCells:
    """A finder by torch, as it was trained."""

    halved = None

    def __init__(self, model: FaceFinder) -> None:
        self.model = self.network = model

    def read(self, tiles: NDArray[np.uint8]) -> Sequence[Any]:
        import torch

        with torch.inference_mode():
            return self.model(torch.from_numpy(tiles).permute(0, 3, 1, 2).float().div_(255))


class ByteCells:
    """A finder by torch, as it is quickest: in bf16 where the processor computes in it.

    Its points are read once more by another network.
    """

    halved = None

    def __init__(self, model: FaceFinder, reduction: int = 1) -> None:
        import torch

        from visagist.networks.finder import ByteFinder

        self.network = ByteFinder(model.network, torch.bfloat16 if _computes_in_bf16() else torch.float32, reduction)
        if reduction == 1:
            self.halved = ByteCells(model, 2)

    def read(self, tiles: NDArray[np.uint8]) -> Sequence[Any]:
        return self.read_both(tiles)[0]

    def read_both(self, tiles: NDArray[np.uint8]) -> tuple[Sequence[Any], NDArray[np.uint8]]:
        """The cells of tiles, and the tiles [B, h, w, 3] reduced for the next size."""
        import torch

        with torch.inference_mode():
            cells, reduced = self.network.read(torch.from_numpy(np.asarray(_Unlocked(tiles))))
        return cells, reduced.numpy()


class _Unlocked:
    """The memory of an array that must not be written, as one that may: torch warns of others."""

    def __init__(self, array: NDArray[np.uint8]) -> None:
        address, _ = array.__array_interface__["data"]
        self.array = array  # lives as long as what is made of it
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}


class GraphCells:
    """A finder of a folder by onnxruntime."""

    halved = None

    def __init__(self, folder: Path, description: dict[str, Any]) -> None:
        stored = conform(description["export"], Export, "export").graphs["find"]
        self.graph = self.network = Graph(folder / stored.file, stored.sha256)

    def read(self, tiles: NDArray[np.uint8]) -> Sequence[Any]:
        return self.graph.run({"images": to_floats_of(tiles)})


class MixedCells:
    """Small tiles by one reader and large ones by another, each where it is the quicker."""

    def __init__(self, small: GraphCells, large: ByteCells) -> None:
        self.small, self.large, self.network, self.halved = small, large, small.network, large.halved

    def read(self, tiles: NDArray[np.uint8]) -> Sequence[Any]:
        return (self.large if tiles[0].size >= 3 * LARGE_TILE else self.small).read(tiles)


def _computes_in_bf16() -> bool:
    import torch

    from visagist.training.precision import has_bf16

    return has_bf16(torch.device("cpu"))


def lookup(name: str) -> type[Trainable]:
    """The trainable class of a finder's checkpoint."""
    from visagist.faces.finder_training import FaceFinder

    if name != FaceFinder.name:
        raise VisagistError(f"no finder of kind {name!r}: it is {FaceFinder.name}")
    return FaceFinder


@lru_cache(maxsize=4)
def load_finder(folder: Path | None = None) -> FaceFinder:
    """The finder of a model folder, that of the zoo if none is named."""
    import torch

    from visagist.checkpoints import checkpoint
    from visagist.runtime.folding import fold_norms

    model, _ = checkpoint.load_model(folder or _shipped(), lookup, kind=KIND)
    fold_norms(model)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return cast("FaceFinder", model)


def cell_reader(folder: Path | None = None) -> CellReader:
    """The finder of a model folder, that of the zoo if none is named.

    By onnxruntime where it is installed and the folder has a graph, so that faces are the same whether torch edits them or
    not; large tiles by torch, where it is loaded and the processor computes in bf16, which takes less than half the time.
    VisagistError where torch is not installed and the folder has no graph.
    """
    graphs = _graph_cells(folder or _shipped()) if has_onnxruntime() else None
    if graphs is None:
        return _torch_cells(folder)
    return MixedCells(graphs, _torch_cells(folder)) if uses_torch() and _computes_in_bf16() else graphs


@lru_cache(maxsize=4)
def _torch_cells(folder: Path | None) -> ByteCells:
    return ByteCells(load_finder(folder))


@lru_cache(maxsize=4)
def _graph_cells(folder: Path) -> GraphCells | None:
    """The finder of a folder by its graph; None where it has none, and torch is to take its weights."""
    described = read_description(folder)
    if described["kind"] == KIND and described.get("export") is not None:
        return GraphCells(folder, described)
    if not has_torch():
        raise VisagistError(f"{folder} has no graph of a finder: write one with `visagist export`, where torch is")
    return None


def _shipped() -> Path:
    folder = pretrained.ZOO / FINDER_MODEL
    if not folder.is_dir():
        raise VisagistError(
            f"{FINDER_MODEL} does not come with this version: name the folder of one that `visagist train finder` made"
        )
    return folder


def scan(
    pixels: NDArray[np.uint8], smallest: float = SMALLEST, threshold: float = 0.5, model: FaceFinder | None = None
) -> Detections:
    """The faces of a photograph [H, W, 3] that are at least `smallest` pixels wide, by falling score, each once."""
    reader = cell_reader() if model is None else TorchCells(model)
    return run(scan_steps(Reductions(pixels), smallest, threshold, reader))


def scan_steps(
    photo: Reductions, smallest: float, threshold: float, reader: CellReader
) -> Steps[Detections]:
    """The steps of `scan`; the sizes that are read are added to the photograph's reductions."""
    ratio = min(SEEN / smallest, MAX_ENLARGEMENT)
    parts, (pixels, *_) = list[Detections](), photo.sizes
    if ratio == 0.5 and reader.halved is not None and pixels[..., 0].size >= 4 * LARGE_TILE:
        there, reduced = yield from _scan_halved(reader.halved, pixels, threshold)
        parts.append(there.moved(ratio, 0, 0))
    else:
        reduced = _resize(pixels, ratio)
    while True:
        photo.add(reduced)
        there = yield from _scan_size(reader, reduced, threshold)
        parts.append(there.moved(reduced.shape[1] / pixels.shape[1], 0, 0))
        if max(reduced.shape) <= LARGEST_SEEN:
            return merge(join(parts))
        reduced = reduce_by(reduced, REDUCTION)


def _scan_halved(
    reader: ByteCells, pixels: NDArray[np.uint8], threshold: float
) -> Steps[tuple[Detections, NDArray[np.uint8]]]:
    """As `_scan_size` of a photograph reduced by two, without reducing it; also the photograph reduced for the next size."""
    height, width = pixels.shape[:2]
    by, step = 2 * REDUCTION, 2 * STRIDE
    parts, reduced = [], np.empty((-(-height // by), -(-width // by), 3), np.uint8)
    for left, top, right, bottom in _tiles(width, height, 2 * HALVED_TILE, 2 * OVERLAP, step):
        tile = pixels[top:bottom, left:right]
        kind = ("finder by two", id(reader.network), tile.shape, threshold)
        most = max(1, 4 * PIXELS_AT_ONCE // tile[..., 0].size)
        ((there, smaller),) = yield Pass(kind, [tile], partial(_pass_halved, reader, threshold), most)
        parts.append(there.moved(1, left / 2, top / 2))
        part = reduced[top // by :, left // by :][: smaller.shape[0], : smaller.shape[1]]
        part[:] = smaller[: part.shape[0], : part.shape[1]]
    return join(parts), reduced


def _pass_halved(
    reader: ByteCells, threshold: float, tiles: Sequence[NDArray[np.uint8]]
) -> list[tuple[Detections, NDArray[np.uint8]]]:
    cells, reduced = reader.read_both(tiles[0][None] if len(tiles) == 1 else np.stack(tiles))
    return list(zip(read_cells(cells, threshold), reduced))


def _resize(pixels: NDArray[np.uint8], ratio: float) -> NDArray[np.uint8]:
    whole = max(int(1 / ratio), 1)  # a mean over whole pixels is several times quicker than any other reduction
    reduced, ratio = reduce_by(pixels, whole), ratio * whole
    height, width = (max(round(side * ratio), 1) for side in reduced.shape[:2])
    if (height, width) == reduced.shape[:2]:
        return reduced
    return np.asarray(Image.fromarray(reduced).resize((width, height), Image.Resampling.BILINEAR))


def _scan_size(reader: CellReader, pixels: NDArray[np.uint8], threshold: float) -> Steps[Detections]:
    """The detections in a photograph at one size, doubles among them."""
    parts = []
    for left, top, right, bottom in _tiles(pixels.shape[1], pixels.shape[0]):
        tile = pixels[top:bottom, left:right]
        beyond = [-side % STRIDE for side in tile.shape[:2]]
        padded = np.pad(tile, ((0, beyond[0]), (0, beyond[1]), (0, 0)), "edge")
        most = max(1, PIXELS_AT_ONCE // padded[..., 0].size)
        kind = ("finder", id(reader.network), padded.shape, threshold)
        (there,) = yield Pass(kind, [padded], partial(_pass, reader, threshold), most)
        parts.append(there.moved(1, left, top))
    return join(parts)


def _pass(reader: CellReader, threshold: float, tiles: Sequence[NDArray[np.uint8]]) -> list[Detections]:
    """The detections in each of some tiles of one size."""
    return read_cells(reader.read(np.stack(tiles)), threshold)


def _tiles(
    width: int, height: int, most: int = TILE, overlap: int = OVERLAP, step: int = 1
) -> Iterator[tuple[int, int, int, int]]:
    """Boxes that cover a picture, of at most about `most` pixels a side, that overlap by at least `overlap` less a step.

    They begin at multiples of `step`.
    """
    for top, bottom in _spans(height, most, overlap, step):
        for left, right in _spans(width, most, overlap, step):
            yield left, top, right, bottom


def _spans(length: int, most: int, overlap: int, step: int) -> list[tuple[int, int]]:
    if length <= most:
        return [(0, length)]
    number = -(-(length - overlap) // (most - overlap))
    side = -(-(length + (number - 1) * overlap) // number // step) * step
    starts = [-(-round(i * (length - side) / (number - 1)) // step) * step for i in range(number)]
    return [(start, min(start + side, length)) for start in starts]
