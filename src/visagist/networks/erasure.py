"""Linear erasure of labels from codes in closed form, with running statistics.

LEACE: Belrose, Schneider-Joseph, Ravfogel, Cotterell, Raff and Biderman (2023, arXiv:2306.03819).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

RIDGE = 1e-5  # of the mean variance, added to each: covariances of few faces have no inverse


class LinearEraser(nn.Module):
    """Codes z [B, Z] without what is linear in the labels [B, A], by the statistics that it has; at first z itself.

    u = z - Szy (Szy' R Szy)+ Szy' R (z - mean of z), with R the inverse of Szz: no linear function of u goes together with
    a label on the faces of the statistics. Any R does that; this one changes z least. Belrose et al. (2023), §4, where the
    square roots of Szz are multiplied out. Nothing has a gradient but z.

    A code is given as the mean mu and log-variance of its posterior. Szz is that of samples, so it has an inverse also where
    a dimension of mu does not vary; Szy is that of samples and of means alike. `decay` is the share of the old
    statistics that is kept at each step.
    """

    mean: Tensor
    covariance: Tensor
    batches: Tensor

    def __init__(self, latent: int, num_attributes: int, decay: float) -> None:
        super().__init__()
        self.latent, self.decay = latent, decay
        # Of z and y together, z first; statistics can be averaged, a projection cannot.
        self.register_buffer("mean", torch.zeros(latent + num_attributes))
        self.register_buffer("covariance", torch.eye(latent + num_attributes))
        self.register_buffer("batches", torch.tensor(0))

    @torch.no_grad()
    def update(self, mu: Tensor, log_var: Tensor, y: Tensor) -> None:
        """Update the statistics by the codes and labels of a batch; the first batches weigh alike."""
        both = torch.cat([mu, y], dim=1).float()
        mean = both.mean(0)
        covariance = (both - mean).T @ (both - mean) / len(both) + self._noise(log_var.float().exp().mean(0))
        self.batches += 1
        share = (1 / self.batches).clamp(min=1 - self.decay)
        change = mean - self.mean
        self.covariance.lerp_(covariance + (1 - share) * torch.outer(change, change), share)
        self.mean.lerp_(mean, share)

    @torch.no_grad()
    def fit(
        self,
        codes: Iterable[tuple[Tensor, Tensor, Tensor]],
        total: Callable[[Sequence[float]], list[float]] | None = None,
    ) -> None:
        """Recompute the statistics from batches of (mu, log-variance, labels), all faces alike.

        Where several processes have some of the batches each, `total` adds numbers up over them.
        """
        size = len(self.mean)
        count, batches = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        first, second = torch.zeros(size, dtype=torch.float64), torch.zeros(size, size, dtype=torch.float64)
        for mu, log_var, y in codes:
            both = torch.cat([mu, y], dim=1).double().cpu()
            count, batches = count + len(both), batches + 1
            first += both.sum(0)
            second += both.T @ both + self._noise(log_var.double().exp().sum(0).cpu())
        sums = torch.cat([count, batches, first, second.flatten()])
        if total is not None:
            sums = torch.tensor(total(sums.tolist()), dtype=torch.float64)
        count, batches, first, second = sums.split([1, 1, size, size * size])
        mean = first / count
        self.mean.copy_(mean)
        self.covariance.copy_(second.view(size, size) / count - torch.outer(mean, mean))
        self.batches.copy_(batches[0])

    def forward(self, z: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            z = z.float()
            readers, writers = self._projection()
            return z - (z - self.mean[: self.latent]) @ readers @ writers.T

    def _noise(self, variance: Tensor) -> Tensor:
        """The covariance of z and y that the posterior variance [Z] adds."""
        return torch.diag(torch.cat([variance, variance.new_zeros(len(self.mean) - self.latent)]))

    @torch.no_grad()
    def _projection(self) -> tuple[Tensor, Tensor]:
        """R Szy, which reads the labels from z, and Szy (Szy' R Szy)+, which removes them, both [Z, A]."""
        of_z, with_y = self.covariance[: self.latent].split([self.latent, len(self.mean) - self.latent], dim=1)
        ridge = RIDGE * of_z.diagonal().mean()
        # solve_ex does not check for errors, for which the CPU would wait for a GPU.
        readers = torch.linalg.solve_ex(of_z + ridge * torch.eye(self.latent, device=of_z.device), with_y)[0]
        return readers, with_y @ torch.linalg.pinv(with_y.T @ readers, hermitian=True)
