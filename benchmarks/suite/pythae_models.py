"""pythae's VAE and VAE/GAN on visagist's networks, under pythae's own trainers."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HIDDEN, NUMBER = 1, 2  # the levels of the discriminator: its last maps, and its number

with contextlib.ExitStack() as _quiet:
    logging.disable(logging.WARNING)
    _quiet.callback(logging.disable, logging.NOTSET)
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEGAN, VAEConfig, VAEGANConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder
    from pythae.trainers import (
        BaseTrainer,
        BaseTrainerConfig,
        CoupledOptimizerAdversarialTrainer,
        CoupledOptimizerAdversarialTrainerConfig,
    )
    from pythae.trainers.training_callbacks import CallbackHandler, TrainingCallback


class Encoder(BaseEncoder):
    """Our posterior network as pythae wants it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Any:
        mu, log_var, _ = self.network(x)
        return ModelOutput(embedding=mu, log_covariance=log_var)


class Decoder(BaseDecoder):
    """Our decoder; its pixels are in [0, 1]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor) -> Any:
        return ModelOutput(reconstruction=torch.sigmoid(self.network(z)))


class Discriminator(BaseDiscriminator):
    """Our critic; its number is a probability, as pythae's loss wants it."""

    depth = NUMBER

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, output_layer_levels: list[int] | None = None) -> Any:
        logits, hidden = self.network.with_hidden(x)
        found = ModelOutput(embedding=torch.sigmoid(logits))
        for level in output_layer_levels or ():
            found[f"embedding_layer_{level}"] = {HIDDEN: hidden, NUMBER: found["embedding"]}[level]
        return found


def vae_trainer(model: Any, images: Tensor, folder: Path) -> Any:
    """A trainer whose `train_step` is one step: its data are one batch [B, 3, S, S]."""
    config = VAEConfig(input_dim=tuple(images.shape[1:]), latent_dim=model.latent, reconstruction_loss="bce")
    theirs = VAE(config, Encoder(model.encoder), Decoder(model.decoder))
    chosen = BaseTrainerConfig(
        output_dir=str(folder), per_device_train_batch_size=len(images), no_cuda=images.device.type == "cpu",
        learning_rate=model.config.learning_rate,
    )  # fmt: skip
    trainer = _made(BaseTrainer, theirs, images, chosen)
    trainer.set_optimizer()
    trainer.set_scheduler()
    return trainer


def vae_gan_trainer(model: Any, images: Tensor, folder: Path) -> Any:
    """The same for VAE/GAN. The margin is so wide that every network moves in every step, as in the paper."""
    config = VAEGANConfig(
        input_dim=tuple(images.shape[1:]), latent_dim=model.latent, reconstruction_layer=HIDDEN, margin=100.0
    )
    parts = Encoder(model.encoder), Decoder(model.decoder), Discriminator(model.discriminator)
    theirs = VAEGAN(config, *parts)
    rates = {f"{part}_learning_rate": model.config.learning_rate for part in ("encoder", "decoder", "discriminator")}
    kinds = {f"{part}_optimizer_cls": "RMSprop" for part in ("encoder", "decoder", "discriminator")}
    chosen = CoupledOptimizerAdversarialTrainerConfig(
        output_dir=str(folder),
        per_device_train_batch_size=len(images),
        no_cuda=images.device.type == "cpu",
        **rates,
        **kinds,
    )
    trainer = _made(CoupledOptimizerAdversarialTrainer, theirs, images, chosen)
    for part in ("encoder", "decoder", "discriminator"):
        getattr(trainer, f"set_{part}_optimizer")()
        getattr(trainer, f"set_{part}_scheduler")()
    return trainer


def _made(kind: Any, model: Any, images: Tensor, config: Any) -> Any:
    """A trainer without its progress bars, so that only its steps are timed."""
    with _silence():
        trainer = kind(model, BaseDataset(images, torch.zeros(len(images))), training_config=config)
    trainer.callback_handler = CallbackHandler(callbacks=[TrainingCallback()], model=trainer.model)
    return trainer


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def leak(trainer: Any) -> dict[str, float]:
    """What the decoder of pythae's VAE/GAN really descends, beside what its own loss says.

    `step` is pythae's own: the decoder's gradient after it holds that of the decoder's loss, and what the backward pass of
    the discriminator's loss left there. `adversarial` is the cosine between the adversarial part of the gradient that is
    used and that of the decoder's own loss, `whole` the cosine of all of it.
    """
    inputs = trainer._set_inputs_to_device(next(iter(trainer.train_loader)))
    parameters = list(trainer.model.decoder.parameters())
    made = trainer.model.train()(inputs)

    def gradient(loss: Tensor) -> Tensor:
        parts = torch.autograd.grad(loss, parameters, retain_graph=True)
        return torch.cat([part.reshape(-1) for part in parts]).double()

    own, rebuilt = gradient(made.decoder_loss), gradient(made.recon_loss)
    likeness = (1 - trainer.model.adversarial_loss_scale) * rebuilt
    trainer._optimizers_step(made)
    used = torch.cat([parameter.grad.reshape(-1) for parameter in parameters]).double()
    return {"adversarial": _cosine(used - likeness, own - likeness), "whole": _cosine(used, own)}


def _cosine(a: Tensor, b: Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))
