"""Pure functions of tensors, each with its reduction stated; the weights in a paper mean nothing without it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from visagist.errors import VisagistError

ACTIVE = 0.01  # nats of KL, mean over faces, above which a latent dimension is in use
_OLD_NAMES = {
    "judged": "discriminator_loss",
    "called_fake": "fake_loss",
    "called_real": "real_loss",
    "called_real_and_of_class": "real_class_loss",
}


def __getattr__(name: str) -> Any:
    """Names that methods outside this package may still import."""
    if name not in _OLD_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = _OLD_NAMES[name]
    warnings.warn(f"visagist.losses.{name} is now {new}; the old name will go", DeprecationWarning, stacklevel=2)
    return globals()[new]


def reparameterise(mu: Tensor, log_var: Tensor) -> Tensor:
    """A sample z = mu + sigma * epsilon, all [B, Z]. Kingma and Welling (2014), §2.4."""
    return mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)


def pixel_cross_entropy(x_logits: Tensor, x: Tensor) -> Tensor:
    """Binary cross-entropy of pixels, summed over channels, mean over positions and batch; both [B, 3, S, S].

    Creswell et al. (2017), L_rec = L_bce(x-hat, x).
    """
    return F.binary_cross_entropy_with_logits(x_logits, x) * x.shape[1]


def kl_to_standard_normal(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL[N(mu, exp(log_var)) || N(0, I)], mean over the dimensions of [B, Z] and the batch, in nats."""
    return 0.5 * (mu.square() + log_var.exp() - 1 - log_var).mean()


def label_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy, mean over attributes and batch; logits and labels [B, A]."""
    return F.binary_cross_entropy_with_logits(logits, labels)


def discriminator_loss(logits: Tensor, as_real: bool) -> Tensor:
    """Cross-entropy of a discriminator's logits [B, 1] against all-real or all-fake, mean over the batch."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(as_real)))


def mean_squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean over pixels, channels and batch, for pixels in [0, 1]."""
    return F.mse_loss(x_hat, x)


def mean_absolute_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean over pixels, channels and batch, for pixels in [0, 1]. Maggipinto et al. (2020), §4.1, L_AE."""
    return F.l1_loss(x_hat, x)


def fake_loss(logits: Tensor) -> Tensor:
    """-log C_fake, mean over the batch; the last of the logits [B, A + 1] says fake. Maggipinto et al., eqs. 6, 7, L_E,C."""
    return F.softplus(-logits[:, -1]).mean()


def real_loss(logits: Tensor) -> Tensor:
    """-log(1 - C_fake), mean over the batch; the last of the logits [B, A + 1] says fake. Maggipinto et al., eq. 7, L_G."""
    return F.softplus(logits[:, -1]).mean()


def real_class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the classes, mean over attributes [B, A], plus -log(1 - C_fake); logits [B, A + 1].

    Maggipinto et al., eq. 6, L_G of a reconstruction.
    """
    return label_cross_entropy(logits[:, :-1], labels) + real_loss(logits)


def summed_pixel_cross_entropy(x_logits: Tensor, x: Tensor) -> Tensor:
    """Binary cross-entropy of pixels, summed over channels and positions, mean over the batch; both [B, 3, S, S].

    -log p(x|z) of a Bernoulli decoder, in nats. Kingma and Welling (2014), appendix C.1.
    """
    return F.binary_cross_entropy_with_logits(x_logits, x, reduction="sum") / len(x)


def summed_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL[N(mu, exp(log_var)) || N(0, I)], summed over the dimensions of [B, Z], mean over the batch, in nats."""
    return kl_by_dimension(mu, log_var).sum()


def kl_by_dimension(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL[N(mu, exp(log_var)) || N(0, I)] of each dimension [Z], mean over the batch, in nats; both [B, Z]."""
    return 0.5 * (mu.square() + log_var.exp() - 1 - log_var).mean(0)


def feature_distances(features: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """1/(2 C W H) of the squared differences of features [B, C, H, W], summed, mean over the batch; by layer.

    Hou, Shen, Sun and Qiu (2017, DFC-VAE), eq. 4; Hou et al. (2019), eq. 5.
    """
    return {layer: 0.5 * F.mse_loss(maps.float(), targets[layer].float()) for layer, maps in features.items()}


def weighted_feature_distance(features: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> Tensor:
    """`feature_distances`, each times 100 / C² of its layer's channels C, summed over layers. Hou et al. (2019), eq. 6."""
    by_layer = feature_distances(features, targets)
    return torch.stack([100 / features[layer].shape[1] ** 2 * value for layer, value in by_layer.items()]).sum()


LEAST_FACES = 4  # below it the unbiased estimate of HSIC does not exist


def hsic(z: Tensor, labels: Tensor) -> Tensor:
    """Hilbert-Schmidt independence criterion of codes [B, Z] and labels [B, A] in 0 and 1; 0 in expectation if independent.

    Gaussian kernel on z, whose width is the median distance between codes and passes no gradient; linear kernel on the
    labels as ±1, mean over attributes. The estimate is the unbiased one, which may fall below 0: that of the first paper
    is off by a term of 1/B, as large as the criterion itself at small batches. Fewer than 4 faces are a VisagistError.
    Gretton, Bousquet, Smola and Schölkopf (2005); Song, Smola, Gretton, Bedo and Borgwardt (2012), HSIC_1.
    """
    m = len(z)
    if m < LEAST_FACES:
        raise VisagistError(f"HSIC needs {LEAST_FACES} faces in each part of a batch, got {m}: choose a larger batch_size")
    with torch.autocast(z.device.type, enabled=False):
        signs = 2 * labels.float() - 1
        K, L = without_diagonal(gaussian_kernel(z.float())), without_diagonal(signs @ signs.T / signs.shape[1])
        together = (K * L).sum()
        apart = K.sum() * L.sum() / ((m - 1) * (m - 2))
        crossed = 2 / (m - 2) * (K.sum(0) * L.sum(0)).sum()
        return (together + apart - crossed) / (m * (m - 3))


def gaussian_kernel(z: Tensor) -> Tensor:
    """exp(-|z - z'|² / 2 s²) of codes [B, Z] as [B, B], where s is the median distance of two codes."""
    squares = (z[:, None] - z[None]).square().sum(-1)
    others = ~torch.eye(len(z), dtype=torch.bool, device=z.device)
    width = squares.detach()[others].median().clamp(min=torch.finfo(squares.dtype).tiny)
    return torch.exp(-squares / (2 * width))


def without_diagonal(kernel: Tensor) -> Tensor:
    """The square matrix with zeros on its diagonal."""
    return kernel - torch.diag(kernel.diagonal())


def gaussian_log_likelihood(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """log N(z; mean, exp(log_var)) in nats without its constant, summed over dimensions of [B, Z], mean over the batch."""
    return -0.5 * ((z - mean).square() / log_var.exp() + log_var).sum(1).mean()


def club(z: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Contrastive log-ratio upper bound of I(z; y) in nats; codes z [B, Z], q(z|y) = N(mean, exp(log_var)) of their labels.

    The mean over pairs of log q(z_i|y_i) less that over all i, j of log q(z_j|y_i), summed over dimensions. It bounds the
    mutual information from above where q is p(z|y). Cheng et al. (2020), §3.1; the sum over j is taken in closed form.
    """
    of_all = z.square().mean(0) - 2 * mean * z.mean(0) + mean.square()
    return 0.5 * ((of_all - (z - mean).square()) / log_var.exp()).sum(1).mean()


def feature_distance(first: Tensor, second: Tensor) -> Tensor:
    """Half the squared distance of features [B, F], mean over features and batch (Bao et al., 2017)."""
    return 0.5 * (first.float() - second.float()).square().mean()


def mean_feature_distance(first: Tensor, second: Tensor) -> Tensor:
    """Half the squared distance of the mean features of two batches [N, F] and [M, F] (Bao et al., 2017)."""
    return 0.5 * (first.float().mean(0) - second.float().mean(0)).square().mean()


def class_feature_distance(first: Tensor, labels: Tensor, second: Tensor, other_labels: Tensor) -> Tensor:
    """`mean_feature_distance` of either class of each attribute, mean over those that both batches hold.

    Features [N, F] and [M, F] with labels [N, A] and [M, A] in 0 and 1; 0 where no class is in both.
    """
    distances = []
    for mine, others in zip(labels.T > 0.5, other_labels.T > 0.5):
        for a, b in ((mine, others), (~mine, ~others)):
            if a.any() and b.any():
                distances.append(mean_feature_distance(first[a], second[b]))
    return torch.stack(distances).mean() if distances else first.new_zeros(())
