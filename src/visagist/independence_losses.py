"""Measures of how far codes depend on labels, as pure functions of tensors: something to minimise, beside an adversary."""

from __future__ import annotations

import torch
from torch import Tensor

from visagist.errors import VisagistError

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
