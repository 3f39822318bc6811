"""Batch norm by the statistics of the global batch, so that processes that share a batch train as one process would.

One implementation for every device; `torch.nn.SyncBatchNorm` is for CUDA alone. The heavy passes are torch's own batch-norm
kernels, given the mean and variance of all processes (docs/decisions/0014).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from visagist.methods.base import Batch
from visagist.networks.convolutional import batch_norms

PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
RUNNING = ("running_mean", "running_var")


def global_statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [C], biased variance [C] and number of values a channel, of x [B, C, ...] over all processes, in one message.

    The variance is combined from those around the mean of each process (Chan, Golub and LeVeque, 1979), without a difference
    of large squares. Every process gets the same bits.
    """
    mean, variance = torch.ops.aten.batch_norm_update_stats(x.float(), None, None, 0.0)
    own = torch.cat([mean, variance, mean.new_tensor([x.numel() / x.shape[1]])])
    each = own.new_empty(dist.get_world_size(), len(own))
    dist.all_gather(list(each), own)
    means, variances, counts = (*each[:, :-1].tensor_split(2, dim=1), each[:, -1:])
    shares = counts / counts.sum()
    mean = (shares * means).sum(0)
    return mean, (shares * (variances + (means - mean).square())).sum(0), counts.sum()


class GlobalNormalization(torch.autograd.Function):
    """x [B, C, ...] normalised by the statistics of all processes, whose gradient passes through those statistics.

    The sum of the losses over processes is differentiated: the backward pass adds up the gradients of the shared mean and
    variance over processes in one message. Gradients of weight and bias are this process's part.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, count: Tensor, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps = eps
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, count = ctx.saved_tensors
        d_x, d_weight, d_bias = torch.ops.aten.native_batch_norm_backward(
            d_y, x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        of_all = torch.cat([d_weight, d_bias])
        dist.all_reduce(of_all)
        along, across = (of_all / count).chunk(2)
        scale = -weight * (variance + ctx.eps).rsqrt()
        # The term scale * (across + x_hat * along) is a batch norm with another weight and bias.
        d_x += F.batch_norm(x, mean, variance, scale * along, scale * across, False, 0.0, ctx.eps)
        return d_x, d_weight, d_bias, None, None, None, None


class GlobalBatchNorm(_BatchNorm):
    """A batch norm that in training normalises by the statistics of all processes, and tracks them."""

    def _check_input_dim(self, x: Tensor) -> None:
        """Accept any dimension: it replaces all three."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        mean, variance, count = global_statistics(x.detach())
        self._track(mean, variance * count / (count - 1))
        weight = torch.ones_like(mean) if self.weight is None else self.weight
        bias = torch.zeros_like(mean) if self.bias is None else self.bias
        result: Tensor = GlobalNormalization.apply(x, weight, bias, mean, variance, count, self.eps)
        return result

    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


@contextmanager
def global_batch_norm(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Make these batch norms global within the context: the same modules, weights and names, another forward pass."""
    plain = [(norm, type(norm)) for norm in norms if type(norm) in PLAIN]
    for norm, _ in plain:
        norm.__class__ = GlobalBatchNorm
    try:
        yield
    finally:
        for norm, kind in plain:
            norm.__class__ = kind


def running_statistics(module: nn.Module) -> list[str]:
    """Names of all running means and variances in the state of a module."""
    norms = {name: norm for name, norm in module.named_modules() if isinstance(norm, _BatchNorm)}
    return [f"{name}.{key}" for name, norm in norms.items() if norm.track_running_stats for key in RUNNING]


@torch.no_grad()
def recompute_batch_norm(
    model: nn.Module,
    use: Callable[[Batch], object],
    batches: Iterable[Batch],
    total: Callable[[Sequence[float]], list[float]] | None = None,
) -> None:
    """Recompute the running means and variances of all batch norms by `use` of `batches`; weights stay.

    Call it before a network is used on plain faces after training on augmented ones, or with averaged weights: neither has
    the running statistics of plain faces. A norm that `use` does not reach keeps its statistics. The model is left in
    evaluation mode. Where several processes have some of the batches each, `total` adds numbers up over them, and all
    processes end with the statistics of all batches.
    """
    model.eval()
    norms = batch_norms(model)
    before = [(norm.momentum, {name: value.clone() for name, value in norm.state_dict().items()}) for norm in norms]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over batches
            norm.train()
        for batch in batches:
            use(batch)
        if total is not None:
            _combine_processes(norms, total)
    finally:
        for norm, (momentum, state) in zip(norms, before):
            norm.momentum = momentum
            if not norm.num_batches_tracked:
                norm.load_state_dict(state)
            norm.eval()


def _combine_processes(norms: list[_BatchNorm], total: Callable[[Sequence[float]], list[float]]) -> None:
    """Average the statistics of norms over the batches of all processes, weighted by their counts."""
    tracked = [(n.running_mean, n.running_var, n.num_batches_tracked) for n in norms]
    known = [(m, v, n) for m, v, n in tracked if m is not None and v is not None and n is not None]
    sums = [torch.cat([n * m, n * v, n[None]]).double().cpu() for m, v, n in known]
    if not sums:
        return
    totals = torch.tensor(total(torch.cat(sums).tolist()), dtype=torch.float64).split([len(s) for s in sums])
    for (mean, variance, count), summed in zip(known, totals):
        count.fill_(int(summed[-1]))
        means = summed[:-1] / summed[-1].clamp(min=1)
        mean.copy_(means[: len(mean)])
        variance.copy_(means[len(mean) :])
