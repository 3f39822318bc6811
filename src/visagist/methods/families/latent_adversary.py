"""Adversaries that remove the attributes from the code z: networks that read y in z, and what the encoder pays for them.

By default there is the one auxiliary network A of IFcVAE-GAN, which E makes fail. The rest has other sources:

    several A, started anew by turns, more updates of A        games between one encoder and opponents that lag behind
    E leaves A undecided, instead of wrong                     Tzeng, Hoffman, Darrell and Saenko (2015, arXiv:1510.02192)
    what is linear in y is taken out of z in closed form       Belrose et al. (2023, arXiv:2306.03819)
    E pays for the dependence of z on y                        Gretton et al. (2005), HSIC
    E pays for a bound of the mutual information I(z; y)       Cheng et al. (2020, arXiv:2006.12013), CLUB
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from visagist.losses import club, gaussian_log_likelihood, hsic, label_cross_entropy
from visagist.methods.base import Batch
from visagist.methods.families.label_conditioned import LabelConditioned, rmsprop
from visagist.networks.adversaries import Ensemble, LabelGaussian
from visagist.networks.convolutional import LatentClassifier
from visagist.networks.erasure import LinearEraser


class LatentAdversary(LabelConditioned):
    """The adversaries of the encoder over z: A, and where the settings ask for them an estimator of q(z|y) and an eraser."""

    auxiliary: nn.Module

    def build_adversaries(self) -> None:
        c, num_attributes = self.config, len(self.attributes)
        members = [self._classifier() for _ in range(c.auxiliary_members)]
        self.auxiliary = members[0] if len(members) == 1 else Ensemble(members)
        if c.information_weight:
            self.estimator = LabelGaussian(num_attributes, c.latent)
        if c.erasure == "linear":
            self.eraser = LinearEraser(c.latent, num_attributes, c.erasure_decay)
            self.inference_networks = (*self.inference_networks, "eraser")  # type: ignore[misc]

    def _classifier(self) -> LatentClassifier:
        c = self.config
        return LatentClassifier(
            c.latent, len(self.attributes), c.auxiliary_hidden, c.auxiliary_normalised, c.auxiliary_layers
        )

    def adversary_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        names = ("auxiliary", "estimator") if self.config.information_weight else ("auxiliary",)
        return {name: rmsprop(self.networks()[name], self.config.auxiliary_learning_rate) for name in names}

    def restart_when_due(self) -> None:
        """Give the oldest member of A new weights each time that so many images were seen; a function of the images alone.

        Its optimizer's running squares stay. They follow the new gradients within a few hundred updates.
        """
        every, images = self.config.auxiliary_restart_images, self.images_seen
        if not every or images < every or images // every == (images - self.batch_images) // every:
            return
        members = list(self.auxiliary.members) if isinstance(self.auxiliary, Ensemble) else [self.auxiliary]
        oldest = members[(images // every - 1) % len(members)]
        with torch.random.fork_rng(devices=[]):
            # The step's own random numbers differ among processes, which must all start the same member.
            torch.default_generator.manual_seed(images)
            fresh = self._classifier()
        for old, new in zip(oldest.parameters(), fresh.parameters(), strict=True):
            # As data: each part of an accumulated batch puts in the same numbers, under the graphs of the parts before it.
            old.data.copy_(new.data)

    def erase(self, z: Tensor) -> Tensor:
        """Codes [B, Z] as decoder and adversaries see them: z itself without erasure."""
        return self.eraser(z) if self.config.erasure == "linear" else z

    def update_eraser(self, mu: Tensor, log_var: Tensor, y: Tensor) -> None:
        """Update the statistics of the eraser, if there is one, by this batch; call it before its codes are used."""
        if self.config.erasure == "linear":
            self.eraser.update(mu, log_var, y)

    def adversary_input(self, z_hat: Tensor, mu: Tensor) -> Tensor:
        """The codes that the adversaries read: samples z_hat [B, Z], means, or samples and then means [2B, Z]."""
        if self.config.auxiliary_sees == "sample":
            return z_hat
        means = self.erase(mu)
        return means if self.config.auxiliary_sees == "mean" else torch.cat([z_hat, means])

    def adversarial_losses(self, codes: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """L_aux, which A descends, and what E descends against A: by default -L_aux, times its weight.

        Both are means over codes, attributes and members of A. Tzeng et al. (2015), eq. 4, for the goal of chance.
        """
        c = self.config
        y_tilde = self.auxiliary(codes)
        L_aux = label_cross_entropy(y_tilde, _repeat_labels(y, codes).expand_as(y_tilde))
        undecided = c.auxiliary_goal == "chance"
        L_hide = label_cross_entropy(y_tilde, torch.full_like(y_tilde, 0.5)) if undecided else -L_aux
        warm = min(1.0, self.images_seen / c.auxiliary_warmup_images) if c.auxiliary_warmup_images else 1.0
        return L_aux, c.auxiliary_weight * warm * L_hide

    def dependence(self, codes: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What E pays for the dependence of z on y, and the loss of the estimator by its name; by default 0 and none."""
        c, paid, own = self.config, codes.new_zeros(()), {}
        if c.independence_weight:
            # Samples and means of the same faces go together anyway, so each are compared among themselves.
            L_hsic = torch.stack([hsic(part, y) for part in codes.split(len(y))]).mean()
            self.log(hsic=L_hsic)
            paid = paid + c.independence_weight * L_hsic
        if c.information_weight:
            q = self.estimator(_repeat_labels(y, codes))
            L_club = club(codes, *q)
            self.log(club=L_club)
            paid = paid + c.information_weight * L_club
            own["estimator"] = -gaussian_log_likelihood(codes, *q)
        return paid, own

    def posterior_mean(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mu, _, y_logits = self.encoder(images)
        return self.erase(mu), y_logits

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var, _ = self.encoder(images)
        return self.erase(mu), log_var

    def sample(self, labels: Tensor) -> Tensor:
        z = torch.randn(len(labels), self.latent, device=labels.device)
        return self._decode(self.erase(z), labels)

    def refit(self, batches: Iterable[Batch], total: Callable[[Sequence[float]], list[float]] | None = None) -> bool:
        """Take the eraser's statistics anew from codes in evaluation mode."""
        if self.config.erasure == "none":
            return False
        self.eraser.fit(((*self.encoder(x)[:2], y) for x, y in batches), total)
        return True


def _repeat_labels(y: Tensor, codes: Tensor) -> Tensor:
    """Labels [B, A] for codes [B, Z] or [2B, Z] of the same faces."""
    return y.repeat(len(codes) // len(y), 1)
