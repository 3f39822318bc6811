"""One step of IFcVAE-GAN written by hand, in the ways in which such steps are written.

All descend the losses of `methods/ifcvae_gan.py` at its default settings, and draw their noise in the same order.

UsualLoop    One forward pass for each of the four optimizers, as most published code has it: `zero_grad`, a forward pass, a
             loss, `backward`, `step`. What must not move is detached where its gradient would stop anyway: photographs made
             for the discriminator, codes for the auxiliary network and for the decoder. `backward` still fills the
             gradients of whatever else the loss passes, as of the discriminator in the decoder's pass; nobody reads them.
CarefulLoop  What somebody writes who wants it fast. One forward pass of encoder and decoder for all. The discriminator sees
             detached pictures for its own loss, and the pictures again, its weights frozen, for the others. The decoder's
             gradient of the encoder's loss is that of its own, so both take one backward pass. All gradients are taken
             before any network moves: it moves the weights as the engine does (a test compares them).
FabricLoop   UsualLoop under Lightning Fabric: networks and optimizers set up by it, its precision, `fabric.backward`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from visagist.losses import (
    discriminator_loss,
    kl_to_standard_normal,
    label_cross_entropy,
    pixel_cross_entropy,
    reparameterise,
)
from visagist.methods.base import Batch
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.networks.convolutional import join
from visagist.training.precision import autocast


class UsualLoop:
    """The step as it is commonly written."""

    def __init__(self, model: IFcVAEGAN, precision: Any, device: torch.device) -> None:
        self.config, self.precision, self.device = model.config, precision, device
        self.networks: Mapping[str, Callable[..., Any]] = model.networks()
        self.optimizers: Mapping[str, torch.optim.Optimizer] = model.optimizers()

    def _move(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad()
        self._backward(loss)
        self.optimizers[name].step()

    def _backward(self, loss: Tensor) -> None:
        loss.backward()

    def _codes(self, batch: Batch) -> tuple[Tensor, ...]:
        mu, log_var, y_logits = self.networks["encoder"](batch.images)
        return mu, log_var, y_logits, reparameterise(mu, log_var)

    def _decoded(self, z_hat: Tensor, y_logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixel logits of the reconstructions, and samples from the prior."""
        z, scale = torch.randn_like(z_hat), self.config.label_scale
        y_prior = labels[torch.randperm(len(labels), device=self.device)]
        codes = torch.cat([join(z_hat, torch.sigmoid(y_logits), scale), join(z, y_prior, scale)])
        x_logits, sample_logits = self.networks["decoder"](codes).chunk(2)
        return x_logits, torch.sigmoid(sample_logits)

    def _judged(self, real: Tensor, x_hat: Tensor, x_sample: Tensor) -> Tensor:
        parts = ((real, True), (x_hat, False), (x_sample, False))
        losses = [discriminator_loss(self.networks["discriminator"](part), as_real) for part, as_real in parts]
        return (losses[0] + losses[1] + losses[2]) / 3

    def step(self, batch: Batch) -> None:
        c, labels = self.config, batch.labels
        with autocast(self.precision, self.device):
            with torch.no_grad():
                _, _, y_logits, z_hat = self._codes(batch)
                x_logits, x_sample = self._decoded(z_hat, y_logits, labels)
            loss = self._judged(batch.images, torch.sigmoid(x_logits), x_sample)
        self._move("discriminator", loss)
        with autocast(self.precision, self.device):
            with torch.no_grad():
                z_hat = self._codes(batch)[3]
            loss = label_cross_entropy(self.networks["auxiliary"](z_hat), labels)
        self._move("auxiliary", loss)
        with autocast(self.precision, self.device):
            with torch.no_grad():
                _, _, y_logits, z_hat = self._codes(batch)
            x_logits, x_sample = self._decoded(z_hat, y_logits, labels)
            L_gan = self._judged(batch.images, torch.sigmoid(x_logits), x_sample)
            loss = pixel_cross_entropy(x_logits, batch.images) - c.gan_weight * L_gan
        self._move("decoder", loss)
        with autocast(self.precision, self.device):
            mu, log_var, y_logits, z_hat = self._codes(batch)
            x_logits, x_sample = self._decoded(z_hat, y_logits, labels)
            L_gan = self._judged(batch.images, torch.sigmoid(x_logits), x_sample)
            L_dec = pixel_cross_entropy(x_logits, batch.images) - c.gan_weight * L_gan
            loss = (
                L_dec
                + c.kl_weight * kl_to_standard_normal(mu, log_var)
                + c.class_weight * label_cross_entropy(y_logits, labels)
            )
            loss = loss - c.auxiliary_weight * label_cross_entropy(self.networks["auxiliary"](z_hat), labels)
        self._move("encoder", loss)


class CarefulLoop(UsualLoop):
    """One forward pass for all four, where detaching allows it."""

    def __init__(self, model: IFcVAEGAN, precision: Any, device: torch.device) -> None:
        super().__init__(model, precision, device)
        self.opponents: tuple[nn.Module, ...] = (model.discriminator, model.auxiliary)

    def step(self, batch: Batch) -> None:
        c, (x, labels) = self.config, batch
        for optimizer in self.optimizers.values():
            optimizer.zero_grad()
        with autocast(self.precision, self.device):
            mu, log_var, y_logits, z_hat = self._codes(batch)
            x_logits, x_sample = self._decoded(z_hat, y_logits, labels)
            x_hat = torch.sigmoid(x_logits)
            L_own = self._judged(x, x_hat.detach(), x_sample.detach())
            L_aux = label_cross_entropy(self.networks["auxiliary"](z_hat.detach()), labels)
            self._frozen(True)
            fake, sample = (self.networks["discriminator"](part) for part in (x_hat, x_sample))
            # The loss of photographs moves no picture.
            L_gan = (discriminator_loss(fake, False) + discriminator_loss(sample, False)) / 3
            L = pixel_cross_entropy(x_logits, x) - c.gan_weight * L_gan
            L = L + c.kl_weight * kl_to_standard_normal(mu, log_var) + c.class_weight * label_cross_entropy(y_logits, labels)
            L = L - c.auxiliary_weight * label_cross_entropy(self.networks["auxiliary"](z_hat), labels)
            self._frozen(False)
        for loss in (L, L_own, L_aux):
            self._backward(loss)
        for optimizer in self.optimizers.values():
            optimizer.step()

    def _frozen(self, frozen: bool) -> None:
        for network in self.opponents:
            network.requires_grad_(not frozen)


class FabricLoop(UsualLoop):
    """The usual loop under Lightning Fabric, whose own precision and backward it uses."""

    def __init__(self, model: IFcVAEGAN, precision: Any, device: torch.device) -> None:
        from lightning_fabric import Fabric

        super().__init__(model, "fp32", device)  # the networks that Fabric sets up enter its precision themselves
        chosen = "bf16-mixed" if precision == "bf16" else "32-true"
        self.fabric = Fabric(accelerator="cuda" if device.type == "cuda" else "cpu", devices=1, precision=chosen)
        pairs = {name: self.fabric.setup(network, self.optimizers[name]) for name, network in model.networks().items()}
        self.networks = {name: network for name, (network, _) in pairs.items()}
        self.optimizers = {name: optimizer for name, (_, optimizer) in pairs.items()}

    def _backward(self, loss: Tensor) -> None:
        self.fabric.backward(loss)
