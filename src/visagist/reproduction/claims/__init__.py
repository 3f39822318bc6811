"""What the four papers claim, each claim once, with its source; `claim.find` says what was found of it."""

from __future__ import annotations

from collections.abc import Mapping

from visagist.reproduction.claims import ifcvae_gan, introvac, residual_gan, vae_wgan
from visagist.reproduction.claims.claim import Claim

__all__ = ["CLAIMS"]

CLAIMS: Mapping[str, tuple[Claim, ...]] = {
    module.PAPER: module.CLAIMS for module in (ifcvae_gan, introvac, vae_wgan, residual_gan)
}
