"""What stands under an `Editor`: a trained torch method, or the graphs that were exported of one."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from visagist.boundary.loaded import loaded_module
from visagist.errors import VisagistError
from visagist.latent.backend import Backend, Setting
from visagist.latent.onnx_backend import GraphFolder, OnnxBackend
from visagist.runtime.engine import has_torch

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from visagist.latent.direction_method import DirectionMethod
    from visagist.latent.direction_types import Direction
    from visagist.methods.base import Code, Method
    from visagist.refining.onnx_refiner import OnnxRefiner
    from visagist.refining.refiner import Refiner

__all__ = ["Backend", "Setting", "TorchBackend", "describe_backend", "load_backend", "open_ahead", "pick_refiner"]


class TorchBackend(Backend):
    """A method, edited by attribute vectors of one length where there are any.

    `trained_method` is the method itself, `method` what edits. VisagistError for vectors of another length than its codes.
    """

    def __init__(self, method: Method, vectors: Sequence[Direction] = ()) -> None:
        self.trained_method = method.eval()
        self.method = _along(method, vectors) if vectors else method
        self._device = _device_of(method)

    @property
    def name(self) -> str:
        return self.method.name

    @property
    def capabilities(self) -> frozenset[str]:
        return self.method.capabilities

    @property
    def attributes(self) -> tuple[str, ...]:
        return self.method.attributes

    @property
    def image_size(self) -> int:
        return self.method.image_size

    @property
    def paper_amount(self) -> float:
        return self.method.paper_amount

    @property
    def recolours(self) -> bool:
        return self.method.recolours

    @property
    def device(self) -> torch.device:
        return self._device

    def to(self, device: torch.device) -> None:
        import torch

        self._device = device
        self.method.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, images: Tensor) -> Code:
        return self.method.encode(images)

    def encode_sampled(self, images: Tensor) -> Code | None:
        return self.method.encode_sampled(images)

    def decode(self, code: Code) -> Tensor:
        return self.method.decode(code)

    def reconstruct(self, images: Tensor) -> Tensor:
        return self.method.reconstruct(images)

    def prepare(self, images: Tensor) -> Any:
        """What all edits of these images share."""
        return self.method.prepare(images)

    def edit_prepared(self, prepared: Any, settings: Sequence[Setting | None]) -> list[Tensor]:
        """The images that `prepare` was given at each setting."""
        method = self.method
        return [
            method.reconstruct_prepared(prepared) if setting is None else method.edit_prepared(prepared, *setting)
            for setting in settings
        ]

    def edit(self, images: Tensor, settings: Sequence[Setting | None]) -> list[Tensor]:
        return self.edit_prepared(self.prepare(images), settings)

    def edit_until(self, images: Tensor, target: Tensor, limit: Tensor, confidence: float) -> tuple[Tensor, Tensor]:
        return self.method.edit_until(images, target, limit, confidence)

    def classify(self, images: Tensor) -> Tensor:
        return self.method.classify(images)

    def sample(self, labels: Tensor) -> Tensor:
        return self.method.sample(labels)


def _device_of(method: Method) -> torch.device:
    import torch

    return next((p.device for p in method.parameters()), torch.device("cpu"))


def _along(method: Method, vectors: Sequence[Direction]) -> DirectionMethod:
    """The method edited by these vectors of one length; VisagistError where its codes have another."""
    import torch

    from visagist.latent.attribute_vectors import FIT
    from visagist.latent.direction_method import DirectionMethod

    own = next(method.parameters())
    with torch.inference_mode():
        blank = torch.zeros(1, 3, method.image_size, method.image_size, device=own.device, dtype=own.dtype)
        latent, stored = method.encode(blank).z.shape[1:], vectors[0].vector.shape
    if tuple(latent) != stored:
        raise VisagistError(
            f"the model's attribute vectors have {stored[0]} numbers and its codes {list(latent)}: {FIT}"
        )
    return DirectionMethod(method, vectors, by_length=True).eval()


def load_backend(folder: Path, description: dict[str, Any], backend: str) -> tuple[Method | Backend, dict[str, Any]]:
    """What runs the model of a folder."""
    if backend == "onnx":
        if description["kind"] != "method":
            raise VisagistError(f"{folder} holds a {description['kind']} ({description['name']}); a method is needed here")
        return OnnxBackend(folder, description), description
    from visagist.checkpoints import checkpoint

    method, description = checkpoint.load_model(folder)
    return cast("Method", method), description


def pick_refiner(model: str, refiner: str | Path | None, backend: str) -> Refiner | OnnxRefiner | None:
    """The refiner of this name, or of auto the shipped one of the model, if there is one, by the library of the backend.

    One without a graph is run by torch, beside graphs too. VisagistError where torch is not installed then.
    """
    if refiner is None:
        return None
    from visagist.refining.load import load_graphs, load_refiner, shipped_refiner

    chosen = shipped_refiner(model) if refiner == "auto" else refiner
    if chosen is None:
        return None
    painter = load_graphs(chosen) if backend == "onnx" else None
    if painter is None and not has_torch():
        raise VisagistError(f"{chosen} has no graph for onnxruntime: write one with `visagist export`, where torch is")
    return load_refiner(chosen) if painter is None else painter


def open_ahead(parts: Sequence[Any]) -> None:
    """Open the graphs that edits take, of backends and refiners, while this thread does something else.

    Parts that have none, as they run by torch, are left out.
    """
    folders = [part.graphs for part in parts if isinstance(getattr(part, "graphs", None), GraphFolder)]
    if folders:
        threading.Thread(target=_open_graphs, args=(folders,), name="visagist-graphs").start()


def _open_graphs(folders: Sequence[GraphFolder]) -> None:
    with suppress(VisagistError):  # whoever runs that graph opens it once more, and is told
        for folder in folders:
            for name in ("prepare", "encode", "move", "repaint"):
                if name in folder:
                    folder[name]


def describe_backend(
    model: Method | Backend, description: Mapping[str, Any] | None
) -> tuple[dict[str, Any], Backend]:
    """A backend over a method, or the one that is given, and the facts of its card."""
    base = loaded_module("visagist.methods.base")
    if base is None or not isinstance(model, base.Method):
        return dict(description or {}), cast(Backend, model)
    from visagist.checkpoints import checkpoint
    from visagist.latent.attribute_vectors import read_vectors

    described = dict(checkpoint.describe(model) if description is None else description)
    return described, TorchBackend(model, read_vectors(described))
