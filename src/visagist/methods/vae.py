"""VAE, the variational autoencoder (Kingma and Welling, 2014, arXiv:1312.6114), on the networks of Hou et al. (2019).

    L = L_rec + beta L_KL,   L_rec = -log p(x|z),   L_KL = KL[q(z|x) || N(0, I)]

Where the paper is silent
    Pixels are no Bernoulli variables; p(x|z) is the product of Bernoulli distributions of appendix C.1 all the same, on
    pixels in [0, 1], as usual. Both terms are sums: over pixels and channels, over latent dimensions.
Differs from the paper
    Adam in place of Adagrad, convolutional networks in place of perceptrons, one sample of z for each face.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from visagist.losses import reparameterise, summed_kl, summed_pixel_cross_entropy
from visagist.methods.base import Batch, Losses
from visagist.methods.families.variational_autoencoder import LatentAutoencoder


@dataclass(frozen=True)
class VAEConfig:
    width: int = 64
    latent: int = 100
    kl_weight: float = 1.0  # beta
    learning_rate: float = 5e-4


class VAE(LatentAutoencoder):
    """Encoder and decoder, which descend one loss."""

    name = "vae"
    title = "Variational autoencoder"
    paper = "Kingma and Welling (2014), arXiv:1312.6114"
    Config = VAEConfig
    config: VAEConfig

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        x, _ = batch
        mu, log_var, _ = self.encoder(x)
        L_rec = summed_pixel_cross_entropy(self.decoder(reparameterise(mu, log_var)), x)
        L_kl = summed_kl(mu, log_var)
        L = L_rec + self.config.kl_weight * L_kl
        self.log(rec=L_rec, kl=L_kl)
        yield {"encoder": L, "decoder": L}
