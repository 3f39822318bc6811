"""What stands under an `Editor`: a model that encodes, decodes and edits, whatever it is made of.

Shape letters: B batch, A attributes, S image size, Z latent dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visagist.errors import VisagistError
from visagist.runtime.arrays import Code, is_tensor

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from visagist.methods.base import Method

Setting = tuple[Any, Any]  # the classes and the amounts of an edit, both [B, A], of the kind that the images are


class Backend(Protocol):
    """A model of faces. A class that inherits from it implements what its `capabilities` declare; `Editor` refuses the rest.

    Images are float tensors [B, 3, S, S] in [0, 1]; all tensors lie on `device`. A model that is no torch module takes
    `.numpy()` of them, or has a `take` of its own, and then gets and gives what that returns. What the capabilities, an edit
    and its amount are, `visagist.methods.base.Method` says.
    """

    @property
    def name(self) -> str: ...
    @property
    def capabilities(self) -> frozenset[str]: ...
    @property
    def attributes(self) -> tuple[str, ...]: ...
    @property
    def image_size(self) -> int: ...
    @property
    def paper_amount(self) -> float: ...
    @property
    def device(self) -> torch.device: ...

    @property
    def runner(self) -> str:
        """What computes, for a person."""
        return "torch"

    @property
    def recolours(self) -> bool:
        """Whether edits change colours and draw nothing, so that a photograph's texture goes with its colours."""
        return False

    def pick_device(self, name: str) -> Any:
        """What `to` takes, of auto, cpu, cuda, cuda:N or mps; VisagistError for one that is not there."""
        from visagist.training.distributed import pick_device

        return pick_device(name)

    def to(self, device: Any) -> None:
        """Move the model to a device."""
        raise NotImplementedError

    def take(self, images: Any) -> Any:
        """Images, an array or a tensor of floats [B, 3, S, S], as what the model takes."""
        import torch

        tensor = images if is_tensor(images) else torch.from_numpy(images)
        return tensor.to(self.device).contiguous(memory_format=torch.channels_last)

    def take_pixels(self, images: NDArray[np.uint8]) -> Any:
        """Images, uint8 [B, S, S, 3], as what the model takes."""
        import torch

        from visagist.pixels import to_float

        return to_float(torch.from_numpy(np.array(images, order="C")), self.device)

    def without_gradients(self) -> AbstractContextManager[object]:
        """Where the model is only used."""
        import torch

        return torch.inference_mode()

    def encode(self, images: Tensor) -> Code:
        """Posterior means of images."""
        raise NotImplementedError

    def encode_sampled(self, images: Tensor) -> Code | None:
        """One draw from the posterior of each image, by torch's noise; None without a variance."""
        return None

    def decode(self, code: Code) -> Tensor:
        """Images of codes."""
        raise NotImplementedError

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images passed through the model without an edit."""
        return self.decode(self.encode(images))

    def edit(self, images: Tensor, settings: Sequence[Setting | None]) -> list[Tensor]:
        """The images at each setting, None for their reconstruction; what the edits share is computed once."""
        raise NotImplementedError

    def edit_until(self, images: Tensor, target: Tensor, limit: Tensor, confidence: float) -> tuple[Tensor, Tensor]:
        """Images edited by the least amounts [B, A] at which the model's own classifier is sure of `target`."""
        raise NotImplementedError

    def classify(self, images: Tensor) -> Tensor:
        """Probabilities [B, A] that the attributes are present."""
        raise NotImplementedError

    def sample(self, labels: Tensor) -> Tensor:
        """Images from the prior, conditioned on labels [B, A] where the model can be."""
        raise NotImplementedError


class FaceModel(Protocol):
    """What work in codes asks of `visagist.editing.editor.Editor`."""

    name: str

    @property
    def backend(self) -> Backend: ...
    @property
    def attributes(self) -> tuple[str, ...]: ...
    @property
    def image_size(self) -> int: ...
    @property
    def device(self) -> torch.device: ...
    def can(self, capability: str) -> bool: ...
    def see(self, faces: Any) -> NDArray[np.uint8]: ...
    def edit_arrays(self, images: NDArray[np.uint8], target: ArrayLike, amount: ArrayLike) -> NDArray[np.uint8]: ...


@runtime_checkable
class WrapsMethod(Protocol):
    """A backend over a torch method: `trained_method`, and `method`, which edits and may move its codes along vectors."""

    method: Method
    trained_method: Method


def describe_capabilities(backend: Backend) -> str:
    """What the model can do, for a message."""
    return ", ".join(sorted(backend.capabilities)) or "nothing of the kind"


def optional_method(model: FaceModel) -> Method | None:
    """The torch method that was trained; None for a model that is no torch method."""
    return model.backend.trained_method if isinstance(model.backend, WrapsMethod) else None


def method_name(model: FaceModel) -> str:
    """The name of the method that was trained, whatever moves its codes."""
    return (optional_method(model) or model.backend).name


def torch_method(model: FaceModel, use: str) -> Method:
    """The torch method that edits; VisagistError, which names the `use`, for a model that is no torch method."""
    return _wrapper(model, use).method


def trained_method(model: FaceModel, use: str) -> Method:
    """The torch method that was trained; VisagistError as `torch_method`."""
    return _wrapper(model, use).trained_method


def _wrapper(model: FaceModel, use: str) -> WrapsMethod:
    if not isinstance(model.backend, WrapsMethod):
        raise VisagistError(
            f"{model.name} ({model.backend.name}) is no torch method, which {use} needs: give a model that visagist trained"
        )
    return model.backend
