"""The interface of models to engine, editor and judges; every method is one file beside this one.

A method says which network descends which loss. Its `training_step` yields a dict from network names to losses: one
yield is one simultaneous update of those networks, code after a yield sees them moved. The engine differentiates each
loss with respect to its own network only, so a method never detaches for isolation, zeroes or freezes.

Shape letters: B batch, A attributes, S image size, Z latent dimensions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from visagist.runtime.arrays import Code

__all__ = ["CAPABILITIES", "Accumulated", "Batch", "Code", "Losses", "Method", "Trainable", "TrainedRun"]

CAPABILITIES = ("generate", "autoencode", "edit", "classify", "classify_latent", "edit_until")


class Batch(NamedTuple):
    """images [B, 3, S, S] float32 in [0, 1]; labels [B, A] float32, 0 or 1."""

    images: Tensor
    labels: Tensor


class Accumulated(NamedTuple):
    """A loss whose gradient waits on its network, without a step, for the network's next plain loss to be added.

    For papers that accumulate over phases: `yield {"encoder": L, "decoder": Accumulated(L)}` then
    `yield {"decoder": L_G}` moves the decoder once, by the sum of both gradients.
    """

    loss: Tensor


Losses = Mapping[str, "Tensor | Accumulated"]


class TrainedRun(Protocol):
    """A finished run, as `Trainable.fit_after_training` sees it; what is fitted goes into the run's model folders."""

    def fit_transport(self) -> None:
        """Fit the transport that takes attributes out of the codes, as the model's config asks for it."""
        ...

    def calibrate_strength(self) -> None:
        """Fit what strengths from -1 to 1 mean, unless the run is told not to."""
        ...


class Trainable(nn.Module):
    """Anything with networks (its child modules) and a `training_step`: methods and judges."""

    name: ClassVar[str]
    kind: ClassVar[str] = "judge"  # of its checkpoints
    title: ClassVar[str] = ""
    Config: ClassVar[type]
    best_metric: ClassVar[str | None] = "loss"  # None: `best/` is the newest that was validated
    inference_networks: ClassVar[tuple[str, ...]] = ()
    paired: ClassVar[bool] = False  # trains on faces without and with its one attribute by turns, equally many

    def __init__(self, config: Any, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__()
        self.config = config
        self.attributes = tuple(attributes)
        self.image_size = image_size
        # Over all processes, before the current step; the trainer sets it and restores it when a run is resumed.
        self.images_seen = 0
        self.batch_images = 0  # over all processes, in one step; the trainer sets it
        self._logged: dict[str, Tensor] = {}

    @classmethod
    def labels_beside(cls, config: Any) -> tuple[str, ...]:
        """Attributes that training knows of its faces, after those that it learns, in a batch's labels."""
        return ()

    def networks(self) -> dict[str, nn.Module]:
        """The networks by the names that losses use."""
        return dict(self.named_children())

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One optimizer for each network."""
        raise NotImplementedError

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        """Yield the losses of each simultaneous update, in the order of the paper's algorithm."""
        raise NotImplementedError

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """Means over the batch, in evaluation mode without gradients; `best_metric`, if any, is one of them."""
        raise NotImplementedError

    def refit(self, batches: Iterable[Batch], total: Callable[[Sequence[float]], list[float]] | None = None) -> bool:
        """Recompute statistics of codes other than those of batch norms from these faces, if the model has any.

        In evaluation mode without gradients, after the batch norms are recomputed; True if networks behind it now see other
        codes. `total` adds numbers up over processes that have some of the batches each.
        """
        return False

    def fit_after_training(self, run: TrainedRun) -> None:
        """Have fitted what the finished run's folders are to hold beside the weights, if anything."""

    def log(self, **values: Tensor) -> None:
        """Store scalars of this step for the logs; they stay on the device until the trainer reads them."""
        self._logged.update({key: value.detach() for key, value in values.items()})

    def pop_log(self) -> dict[str, Tensor]:
        logged, self._logged = self._logged, {}
        return logged

    def borrowed(self) -> dict[str, str]:
        """Networks from outside that training learns from, by name, with the SHA-256 of their files."""
        return {}

    def config_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self.config)


class Method(Trainable):
    """A generative model of faces. It implements what its `capabilities` declare; commands refuse the rest.

    An edit is `edit(images, target, amount)`: `target` [B, A] says toward which class (0 or 1), `amount` [B, A] how
    far in the method's own range (0: the reconstruction unchanged, 1: the end of the range). It moves a face toward the
    class and never back. `paper_amount` is the amount at which the paper reports its results.
    `recolours`: edits change colours and draw nothing, so that a photograph's texture goes with its colours.
    """

    kind: ClassVar[str] = "method"
    paper: ClassVar[str] = ""
    capabilities: ClassVar[frozenset[str]] = frozenset()
    paper_amount: ClassVar[float] = 1.0
    recolours: bool = False
    best_metric: ClassVar[str | None] = "mse"
    registered: ClassVar[dict[str, type[Method]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            Method.registered[cls.name] = cls

    def fit_after_training(self, run: TrainedRun) -> None:
        """Have the strength of edits calibrated; a method that needs more asks for it first."""
        run.calibrate_strength()

    def encode(self, images: Tensor) -> Code:
        """Posterior means of images [B, 3, S, S]."""
        raise NotImplementedError

    def encode_sampled(self, images: Tensor) -> Code | None:
        """As `encode`, but z is one draw from the posterior of each image, by torch's noise; None without a variance.

        A method that transforms the mean before it returns it as its code transforms the draw alike.
        """
        return None

    def decode(self, code: Code) -> Tensor:
        """Images [B, 3, S, S] in [0, 1]."""
        raise NotImplementedError

    def reconstruct(self, images: Tensor) -> Tensor:
        """Images [B, 3, S, S] passed through the code without an edit; methods that edit without a code say what is left."""
        return self.decode(self.encode(images))

    def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        """Edited images [B, 3, S, S]; see the class for `target` and `amount`, both [B, A]."""
        raise NotImplementedError

    def prepare(self, images: Tensor) -> Any:
        """What all edits of these images share, such as their codes, to be computed once; here the images themselves."""
        return images

    def edit_prepared(self, prepared: Any, target: Tensor, amount: Tensor) -> Tensor:
        """`edit` of the images that `prepare` was given, from what it made of them; a method has both or neither."""
        return self.edit(prepared, target, amount)

    def reconstruct_prepared(self, prepared: Any) -> Tensor:
        """`reconstruct` of the images that `prepare` was given; one that makes more of them than codes has its own."""
        return self.decode(prepared) if isinstance(prepared, Code) else self.reconstruct(prepared)

    def edit_until(
        self, images: Tensor, target: Tensor, limit: Tensor, confidence: float, step: float = 0.05
    ) -> tuple[Tensor, Tensor]:
        """Images [B, 3, S, S] edited by the least amounts [B, A] at which the method's own classifier is sure of them.

        `limit` [B, A] is the largest amount: 0 leaves an attribute alone, 1 is the range. A face stops where the classes
        `target` of its edited image, read again, have at least probability `confidence`, or at the limit. Amounts grow by
        `step`.
        """
        raise NotImplementedError

    def classify(self, images: Tensor) -> Tensor:
        """Probabilities [B, A] that the attributes are present, by the method's own classifier."""
        raise NotImplementedError

    def latent_logits(self, z: Tensor) -> Tensor:
        """Logits [B, A] that the attributes are present, read from codes z [B, Z]; differentiable in z.

        A method that declares `classify_latent` says how many dimensions z has in `latent`, expects z to be standard normal
        before anything is known of a face, and decodes `Code(z)` without labels.
        """
        raise NotImplementedError

    def sample(self, labels: Tensor) -> Tensor:
        """Images [B, 3, S, S] from the prior; labels [B, A] condition the methods that can be conditioned."""
        raise NotImplementedError
