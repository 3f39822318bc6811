"""The graphs that `visagist export` wrote of a model, as the backend of an `Editor`: run by onnxruntime, without torch."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.boundary.loaded import loaded_module
from visagist.boundary.schema import conform
from visagist.checkpoints.descriptions import Export
from visagist.errors import VisagistError
from visagist.latent.backend import Backend, Setting
from visagist.pixels import to_floats_of
from visagist.runtime.arrays import Code, Floats, like, to_floats
from visagist.runtime.graphs import Graph

Prepared = Mapping[str, Floats]  # what all edits of some images share, by the names of the graphs' inputs
# What the graphs can do of a method's capabilities, each with the graphs that it takes.
_NEEDED = {
    "autoencode": ("encode", "decode"), "edit": ("move",), "classify": ("classify",), "edit_until": ("move", "classify"),
}  # fmt: skip
_STEP = 0.05  # of the amount, from one look of `edit_until` to the next


class GraphFolder:
    """The graphs of a model folder, each opened when it is first used. VisagistError where the folder has none."""

    def __init__(self, folder: Path, description: Mapping[str, Any]) -> None:
        if description.get("export") is None:
            raise VisagistError(f"{folder} has no graphs for onnxruntime: write some with `visagist export`")
        self.folder, self.export = folder, conform(description["export"], Export, "export")
        self._open: dict[str, Graph] = {}
        self._lock = threading.Lock()

    def __contains__(self, name: object) -> bool:
        return name in self.export.graphs

    def __getitem__(self, name: str) -> Graph:
        with self._lock:
            if name not in self._open:
                if name not in self:
                    raise VisagistError(f"{self.folder} has no graph {name!r}: write it with `visagist export`")
                stored = self.export.graphs[name]
                self._open[name] = Graph(self.folder / stored.file, stored.sha256)
            return self._open[name]

    def open_all(self) -> None:
        """Open every graph now: the first edit waits for none, and VisagistError names one that is damaged."""
        for name in self.export.graphs:
            self[name]


class OnnxBackend(Backend):
    """Graphs over arrays [B, 3, S, S] of numpy, on the processor; tensors of torch are taken too, and come out."""

    def __init__(self, folder: Path, description: Mapping[str, Any]) -> None:
        self.graphs = GraphFolder(folder, description)
        self._method, self._image_size = str(description["name"]), int(description["image_size"])

    @property
    def name(self) -> str:
        return self._method

    @property
    def runner(self) -> str:
        return f"onnxruntime, {self.graphs.export.precision}"

    @property
    def capabilities(self) -> frozenset[str]:
        able = self.graphs.export.capabilities
        return frozenset(c for c, needed in _NEEDED.items() if c in able and all(name in self.graphs for name in needed))

    @property
    def attributes(self) -> tuple[str, ...]:
        return self.graphs.export.attributes

    @property
    def image_size(self) -> int:
        return self._image_size

    @property
    def paper_amount(self) -> float:
        return self.graphs.export.paper_amount

    @property
    def recolours(self) -> bool:
        return self.graphs.export.recolours

    @property
    def device(self) -> Any:
        torch = loaded_module("torch")
        return "cpu" if torch is None else torch.device("cpu")

    def pick_device(self, name: str) -> str:
        if name not in ("auto", "cpu"):
            raise VisagistError(f"device {name!r} was asked for, and onnxruntime runs on the processor: take backend torch")
        return "cpu"

    def to(self, device: Any) -> None:
        """Nothing: the processor is the one device."""

    def take(self, images: Any) -> Any:
        return to_floats(images)

    def take_pixels(self, images: NDArray[np.uint8]) -> Floats:
        return to_floats_of(images)

    def without_gradients(self) -> AbstractContextManager[object]:
        return nullcontext()

    def encode(self, images: Any) -> Code:
        return Code(*(like(value, images) for value in self.graphs["encode"].run({"images": to_floats(images)})))

    def decode(self, code: Code) -> Any:
        feeds = {name: to_floats(value) for name, value in zip(("z", "y"), code) if value is not None}
        return like(self.graphs["decode"].run(feeds)[0], code.z)

    def reconstruct(self, images: Any) -> Any:
        return self.edit(images, [None])[0] if "move" in self.graphs else self.decode(self.encode(images))

    def prepare(self, images: Any) -> Prepared:
        """What all edits of these images share."""
        graph = self.graphs["prepare" if "prepare" in self.graphs else "encode"]
        return dict(zip(graph.outputs, graph.run({"images": to_floats(images)})))

    def edit_prepared(self, prepared: Prepared, settings: Sequence[Setting | None]) -> list[Floats]:
        """The images that `prepare` was given at each setting; all settings pass the network together."""
        count, number = len(next(iter(prepared.values()))), len(settings)
        if self.graphs.export.stepwise:
            return [self._edit_in_steps(prepared, *(setting or (None, None))) for setting in settings]
        still = np.zeros((count, len(self.attributes)), np.float32)  # at amount 0 an edit is the reconstruction
        pairs = [(still, still) if setting is None else setting for setting in settings]
        target, amount = (np.concatenate([to_floats(pair[side]) for pair in pairs]) for side in (0, 1))
        feeds = {name: np.concatenate([value] * number) for name, value in prepared.items()}
        images = self.graphs["move"].run({**feeds, "target": target, "amount": amount})[0]
        return [images[start : start + count] for start in range(0, count * number, count)]

    def _edit_in_steps(self, prepared: Prepared, target: Any, amount: Any) -> Floats:
        """Pictures changed in one attribute after the other, in their order, as `StepwiseMethod.edit` changes them."""
        (name, images), = prepared.items()
        for a in range(len(self.attributes) if amount is not None else 0):
            alone = np.zeros((len(images), len(self.attributes)), np.float32)
            alone[:, a] = to_floats(amount)[:, a]
            if alone.any():
                images = self.graphs["move"].run({name: images, "target": to_floats(target), "amount": alone})[0]
        return images

    def edit(self, images: Any, settings: Sequence[Setting | None]) -> list[Any]:
        if not len(images) or not settings:
            return [images for _ in settings]
        return [like(edited, images) for edited in self.edit_prepared(self.prepare(images), settings)]

    def edit_until(self, images: Any, target: Any, limit: Any, confidence: float) -> tuple[Any, Any]:
        prepared, toward, most = self.prepare(images), to_floats(target), to_floats(limit)
        amount = np.zeros_like(most)
        while True:
            edited = self.edit_prepared(prepared, [(toward, amount)])[0]
            present = self._probabilities(edited)
            unsure = np.where(toward > 0.5, present, 1 - present) < confidence
            if not (unsure & (amount < most)).any():
                return like(edited, images), like(amount, images)
            amount = np.where(unsure, np.minimum(amount + np.float32(_STEP), most), amount)

    def classify(self, images: Any) -> Any:
        return like(self._probabilities(to_floats(images)), images)

    def sample(self, labels: Any) -> Any:
        raise VisagistError(f"the graphs of {self.graphs.folder} make no new faces: take backend torch")

    def _probabilities(self, images: Floats) -> NDArray[np.float32]:
        return self.graphs["classify"].run({"images": images})[0]
