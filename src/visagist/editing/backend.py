"""A trained torch method as the backend of an `Editor`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from visagist.errors import VisagistError
from visagist.latent.attribute_vectors import FIT
from visagist.latent.backend import Backend, Setting
from visagist.latent.direction_method import DirectionMethod
from visagist.latent.direction_types import Direction
from visagist.methods.base import Code, Method

__all__ = ["Backend", "Setting", "TorchBackend"]


class TorchBackend(Backend):
    """A method, edited by attribute vectors of one length where there are any.

    `trained_method` is the method itself, `method` what edits. VisagistError for vectors of another length than its codes.
    """

    def __init__(self, method: Method, vectors: Sequence[Direction] = ()) -> None:
        self.trained_method = method.eval()
        self.method = _along(method, vectors) if vectors else method
        self._device = next((p.device for p in method.parameters()), torch.device("cpu"))

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
    def device(self) -> torch.device:
        return self._device

    def to(self, device: torch.device) -> None:
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

    def edit(self, images: Tensor, settings: Sequence[Setting | None]) -> list[Tensor]:
        method, prepared = self.method, self.method.prepare(images)
        return [
            method.reconstruct_prepared(prepared) if setting is None else method.edit_prepared(prepared, *setting)
            for setting in settings
        ]

    def edit_until(self, images: Tensor, target: Tensor, limit: Tensor, confidence: float) -> tuple[Tensor, Tensor]:
        return self.method.edit_until(images, target, limit, confidence)

    def classify(self, images: Tensor) -> Tensor:
        return self.method.classify(images)

    def sample(self, labels: Tensor) -> Tensor:
        return self.method.sample(labels)


def _along(method: Method, vectors: Sequence[Direction]) -> DirectionMethod:
    """The method edited by these vectors of one length; VisagistError where its codes have another."""
    own = next(method.parameters())
    with torch.inference_mode():
        blank = torch.zeros(1, 3, method.image_size, method.image_size, device=own.device, dtype=own.dtype)
        latent, stored = method.encode(blank).z.shape[1:], vectors[0].vector.shape
    if tuple(latent) != stored:
        raise VisagistError(
            f"the model's attribute vectors have {stored[0]} numbers and its codes {list(latent)}: {FIT}"
        )
    return DirectionMethod(method, vectors, by_length=True).eval()
