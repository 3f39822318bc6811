"""Graphs beside torch: the same faces through both, at many settings and in batches of several sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from visagist.data.faces import Faces
from visagist.data.sources import load_data
from visagist.errors import VisagistError
from visagist.exporting.modules import Part
from visagist.networks.finder_levels import STRIDE
from visagist.pixels import to_floats_of
from visagist.runtime.arrays import Floats, is_tensor
from visagist.runtime.graphs import Graph

LIMITS = {"fp32": 1e-4, "fp16": 2e-3}
BATCHES = (1, 3, 32)  # sizes by turns, so that none is frozen into a graph


def judge_limit(precision: str) -> float:
    """The largest difference that graphs of a precision may have to torch."""
    return LIMITS[precision]


def faces_to_check(faces: Faces | None, number: int, side: int) -> Floats:
    """So many faces [N, 3, S, S] of those that are given, evenly taken; drawn ones without them."""
    if faces is None:
        faces = _drawn(number, side)
    if faces.image_size != side:
        raise VisagistError(f"the model takes faces of {side} pixels, got {faces.image_size}: load the data with that size")
    rows = np.linspace(0, len(faces.images) - 1, min(number, len(faces.images))).round().astype(int)
    return to_floats_of(np.ascontiguousarray(faces.images[rows]))


@lru_cache(maxsize=2)
def _drawn(number: int, side: int) -> Faces:
    return load_data(f"synthetic:{number}", image_size=side)


def compare_with_torch(
    parts: Mapping[str, Part], folder: Path, faces: Faces | None, number: int, *, relative: bool = False
) -> dict[str, float]:
    """By part the largest difference of its graph in `folder` to torch, over so many faces, each with its own settings.

    `relative`: in shares of the largest value of what comes out, where that is above 1, as halves are rounded.
    """
    generator, worst = np.random.default_rng(0), {}
    sides = {_images_of(part).shape[-1] for part in parts.values() if _images_of(part) is not None}
    pictures = {side: faces_to_check(faces if faces and faces.image_size == side else None, number, side) for side in sides}
    first = next((part for part in parts.values() if _images_of(part) is not None), None)
    if first is None:
        raise VisagistError("there is nothing to export")
    for name, part in parts.items():
        graph, worst[name] = Graph(folder / f"{name}.onnx"), 0.0
        source = source_of(name, parts)
        images = pictures[_images_of(source or part).shape[-1]]
        for batch in _batches(images):
            given = _inputs(part, source, batch, generator)
            with torch.inference_mode():
                expected = part.module(*given)
            results = graph.run(dict(zip(part.input_names, _flat(given))))
            outputs = (expected,) if is_tensor(expected) else tuple(expected)
            for out, kept in zip(results, outputs, strict=True):
                unit = max(1.0, float(kept.abs().max())) if relative else 1.0
                worst[name] = max(worst[name], float(np.abs(out - kept.numpy()).max()) / unit)
    return worst


def inputs_of(
    part: Part, source: Part | None, images: Floats, generator: np.random.Generator
) -> list[Floats]:
    """What a part is given of these faces, in the order of its inputs; see `compare_with_torch`."""
    return _flat(_inputs(part, source, images, generator))


def _flat(given: tuple[Any, ...]) -> list[Floats]:
    return [value.numpy() for group in given for value in (group if isinstance(group, tuple) else (group,))]


def source_of(name: str, parts: Mapping[str, Part]) -> Part | None:
    """The part that the first inputs of the part of this name come from; None where they are pictures."""
    return parts.get("prepare", parts.get("encode")) if name in ("move", "decode") else None


def _images_of(part: Part | None) -> Any:
    if part is None or part.input_names[0] != "images":
        return None
    return part.inputs[0]


def _batches(images: Floats) -> Iterator[Floats]:
    start, turn = 0, 0
    while start < len(images):
        size = BATCHES[turn % len(BATCHES)]
        yield images[start : start + size]
        start, turn = start + size, turn + 1


def _inputs(part: Part, source: Part | None, images: Floats, generator: np.random.Generator) -> tuple[Any, ...]:
    """What a part is given of these faces: itself, or what comes before it; and settings that are drawn for each."""
    batch = torch.from_numpy(images)
    if 2 in part.dynamic:  # pictures of any size
        height, width = (int(side) for side in STRIDE * generator.integers(1, images.shape[-1] // STRIDE + 1, 2))
        batch = batch[..., :height, :width]
    if source is None and part.input_names[0] == "images":
        first: Any = batch
    else:
        with torch.inference_mode():
            first = tuple(source.module(batch)) if source is not None else ()
    settings = [name for name in part.input_names if name in ("target", "amount", "strength", "code")]
    count = part.inputs[-1].shape[-1] if settings else 0
    drawn = {
        "target": lambda: generator.integers(0, 2, (len(images), count)),
        "amount": lambda: generator.random((len(images), count)),
        "strength": lambda: 2 * generator.random((len(images), count)) - 1,
        "code": lambda: np.eye(count)[generator.integers(0, count, 1)],
    }
    decodes = _decodes(batch, generator) if "rebuilt" in part.input_names else ()
    return (first, *decodes, *(torch.from_numpy(np.asarray(drawn[name](), np.float32)) for name in settings))


def _decodes(batch: torch.Tensor, generator: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Faces edited and rebuilt as a model might: blurred, with squares of other colours."""
    rebuilt = F.avg_pool2d(batch, 3, 1, 1, count_include_pad=False)
    squares = torch.from_numpy(generator.random((len(batch), 3, 8, 8), np.float32))
    return torch.lerp(rebuilt, F.interpolate(squares, size=batch.shape[2:]), 0.2), rebuilt
