"""What methods share that decode an identity code z and a label y, and edit by switching the label.

With `transport` in the config, `encode` returns u in place of z: z without what tells the attributes, by a transport fitted
after training (`networks/transport.py`). `decode` inverts it for the given labels. So reconstructions stay, and an edit
moves what z tells of the attribute along with y.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from visagist.losses import mean_squared_error, reparameterise
from visagist.methods.base import Batch, Code, TrainedRun
from visagist.methods.families.variational_autoencoder import CodeEditor
from visagist.networks.convolutional import LabelForm, join
from visagist.networks.transport import ClassTransport, label_position


def rmsprop(network: nn.Module, learning_rate: float, momentum: float = 0.0) -> torch.optim.Optimizer:
    """The optimiser of Creswell et al. (2017) for one network."""
    return torch.optim.RMSprop(network.parameters(), lr=learning_rate, momentum=momentum)


def _in_fp32(z: Tensor) -> AbstractContextManager[object]:
    """Where codes are transported: the 8 bits of a bf16 number are too few for sums that are inverted later."""
    return torch.autocast(z.device.type, enabled=False)


class LabelConditioned(CodeEditor):
    """z from `posterior_mean`, y from `read_labels`; an edit moves y toward 0 or 1 and keeps z (Creswell et al., §3.3)."""

    capabilities = frozenset({"generate", "autoencode", "edit", "classify"})
    label_scale: float
    label_form: LabelForm
    transport: ClassTransport | None

    def __init__(self, config: Any, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        self.label_scale, self.label_form = config.label_scale, config.label_form
        self.transport = None
        if config.transport != "none":
            self.transport = ClassTransport(config.latent, len(attributes))
            self.inference_networks = (*self.inference_networks, "transport")  # type: ignore[misc]

    def fit_after_training(self, run: TrainedRun) -> None:
        if self.transport is not None:
            run.fit_transport()
        super().fit_after_training(run)

    def posterior_mean(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """mu [B, Z] and label logits [B, A] of images [B, 3, S, S]."""
        raise NotImplementedError

    def encode(self, images: Tensor) -> Code:
        mu, y_logits = self.posterior_mean(images)
        return self._code(mu, torch.sigmoid(y_logits))

    def encode_sampled(self, images: Tensor) -> Code:
        """z, before it becomes u, is a draw from N(mu, sigma²); y is that of `encode`."""
        _, y_logits = self.posterior_mean(images)
        return self._code(reparameterise(*self.posterior(images)), torch.sigmoid(y_logits))

    def _code(self, z: Tensor, y: Tensor) -> Code:
        if self.transport is None:
            return Code(z, y)
        with _in_fp32(z):
            return Code(self.transport.forget(z, label_position(y)), y)

    def decode(self, code: Code) -> Tensor:
        assert code.y is not None
        if self.transport is None:
            return self._decode(code.z, code.y)
        with _in_fp32(code.z):
            z = self.transport.remember(code.z, label_position(code.y))
        return self._decode(z, code.y)

    def _decode(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.sigmoid(self.decoder(join(z, y, self.label_scale, self.label_form)))

    def edit_prepared(self, prepared: Code, target: Tensor, amount: Tensor) -> Tensor:
        z, y = prepared
        assert y is not None
        target, amount = target.to(y), amount.to(y)
        if self.transport is not None:
            with _in_fp32(z):
                start = label_position(y)
                z = self.transport.edited(z, start, torch.lerp(start, self.transport.end(target), amount))
        return self._decode(z, torch.lerp(y, target, amount))

    def class_amount(self, attribute: int, target: int) -> float:
        """The amount at which an edit of a face of the other class ends at its new class, and not beyond."""
        if self.transport is None:
            return 1.0
        return 1 / (1 + float(self.transport.reach[attribute, target]))

    def classify(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.posterior_mean(images)[1])

    def sample(self, labels: Tensor) -> Tensor:
        z = torch.randn(len(labels), self.latent, device=labels.device)
        return self._decode(z, labels)

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        code = self.encode(batch.images)
        assert code.y is not None
        accuracy = ((code.y > 0.5) == (batch.labels > 0.5)).float().mean()
        return {"mse": mean_squared_error(self.decode(code), batch.images), "label_accuracy": accuracy}
