"""What the variational autoencoders that know no attributes share: encoder, decoder, prior samples, and what is validated.

Networks: encoder E: x -> (mu, log-variance of z), decoder D: z -> x, those of Hou et al. (2019), `deep_residual.py`. Those
that compare features of VGG-19 borrow it: it is no network of theirs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from visagist.losses import ACTIVE, kl_by_dimension, mean_squared_error, reparameterise
from visagist.methods.base import Batch, Code, Method
from visagist.networks.convolutional import Posterior
from visagist.networks.deep_residual import DeepDecoder, DeepEncoder
from visagist.networks.pretrained.vgg19 import BorrowedVGG19


class LatentAutoencoder(Method):
    """z is the posterior mean; the decoder ends in a sigmoid."""

    capabilities = frozenset({"generate", "autoencode"})
    inference_networks = ("encoder", "decoder")

    def __init__(self, config: Any, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        self.latent: int = config.latent
        backbone = DeepEncoder(image_size, config.width)
        self.encoder = Posterior(backbone, backbone.features, config.latent, 0)
        self.decoder = DeepDecoder(image_size, config.width, config.latent)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        rate = self.config.learning_rate
        return {name: torch.optim.Adam(network.parameters(), rate) for name, network in self.networks().items()}

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

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """The error of reconstructions, KL in nats, and how many latent dimensions are in use over the batch."""
        mu, log_var, _ = self.encoder(batch.images)
        kl = kl_by_dimension(mu, log_var)
        mse = mean_squared_error(self.decode(Code(mu)), batch.images)
        return {"mse": mse, "kl": kl.sum(), "active_units": (kl > ACTIVE).sum().float()}


class FeatureConsistent(LatentAutoencoder):
    """One whose losses compare what VGG-19 makes of images; the config's `feature_weights` says where its weights are."""

    def __init__(self, config: Any, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        self.vgg = BorrowedVGG19(config.feature_weights)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        self.vgg.load()  # a missing file is found out now rather than in the first step
        return super().optimizers()

    def borrowed(self) -> dict[str, str]:
        return {"VGG-19": self.vgg.sha256}
