"""What variational autoencoders share: codes, reconstructions and samples; for some the networks and features of one paper.

Networks: encoder E: x -> (mu, log-variance of z, more), decoder D: z -> x. Those of `LatentAutoencoder` are of Hou et al.
(2019), `deep_residual.py`. VGG-19, whose features some methods compare, is borrowed: it is no network of theirs.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from visagist.losses import ACTIVE, kl_by_dimension, mean_squared_error, reparameterise
from visagist.methods.base import Batch, Code, Method
from visagist.networks.convolutional import Posterior
from visagist.networks.deep_residual import DeepDecoder, DeepEncoder
from visagist.networks.pretrained.vgg19 import BorrowedVGG19


class VariationalAutoencoder(Method):
    """z is the posterior mean; the decoder's logits pass a sigmoid. Subclasses make `encoder` and `decoder`."""

    encoder: nn.Module
    decoder: nn.Module
    inference_networks: ClassVar[tuple[str, ...]] = ("encoder", "decoder")

    def __init__(self, config: Any, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        self.latent: int = config.latent

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log-variance [B, Z] of z."""
        mu, log_var, _ = self.encoder(images)
        return mu, log_var

    def encode(self, images: Tensor) -> Code:
        return Code(self.encoder(images)[0])

    def encode_sampled(self, images: Tensor) -> Code:
        """z is a draw from N(mu, sigma²)."""
        return Code(reparameterise(*self.posterior(images)))

    def decode(self, code: Code) -> Tensor:
        return torch.sigmoid(self.decoder(code.z))

    def sample(self, labels: Tensor) -> Tensor:
        return self.decode(Code(torch.randn(len(labels), self.latent, device=labels.device)))


class CodeEditor(VariationalAutoencoder):
    """Edits codes, so that several edits of a face share one encoding. Subclasses have `edit_prepared`."""

    def prepare(self, images: Tensor) -> Code:
        return self.encode(images)

    def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        return self.edit_prepared(self.encode(images), target, amount)


class LatentAutoencoder(VariationalAutoencoder):
    """An autoencoder without attributes, of the networks of Hou et al. (2019)."""

    capabilities = frozenset({"generate", "autoencode"})

    def __init__(self, config: Any, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        backbone = DeepEncoder(image_size, config.width)
        self.encoder = Posterior(backbone, backbone.features, config.latent, 0)
        self.decoder = DeepDecoder(image_size, config.width, config.latent)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        rate = self.config.learning_rate
        return {name: torch.optim.Adam(network.parameters(), rate) for name, network in self.networks().items()}

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """The error of reconstructions, KL in nats, and how many latent dimensions are in use over the batch."""
        mu, log_var, _ = self.encoder(batch.images)
        kl = kl_by_dimension(mu, log_var)
        mse = mean_squared_error(self.decode(Code(mu)), batch.images)
        return {"mse": mse, "kl": kl.sum(), "active_units": (kl > ACTIVE).sum().float()}


class FeatureConsistent(LatentAutoencoder):
    """Compares VGG-19 features of images in its losses; `feature_weights` of the config names the file of its weights."""

    def __init__(self, config: Any, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        self.vgg = BorrowedVGG19(config.feature_weights)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        self.vgg.load()  # so that a missing file is an error before the first step
        return super().optimizers()

    def borrowed(self) -> dict[str, str]:
        return {"VGG-19": self.vgg.sha256}
