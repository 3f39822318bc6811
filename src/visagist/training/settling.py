"""Batch-norm statistics of the faces that a model is used on, in place of those that it was trained with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from visagist.methods.base import Batch
from visagist.networks.convolutional import batch_norms


@torch.no_grad()
def settle_statistics(
    model: nn.Module,
    use: Callable[[Batch], object],
    batches: Iterable[Batch],
    total: Callable[[Sequence[float]], list[float]] | None = None,
) -> None:
    """Take the running means and variances of all batch norms anew, over `use` of `batches`; no weight changes.

    A network that trains on augmented faces gathers their statistics, and averaged weights have an average of the
    statistics of older ones; neither are those of the plain faces that the network will see. A norm that `use` does not
    reach keeps its own. The model is left in evaluation mode. Where several processes have some of the batches each,
    `total` adds numbers up over them, and all end with the statistics of all batches.
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
            _put_together(norms, total)
    finally:
        for norm, (momentum, state) in zip(norms, before):
            norm.momentum = momentum
            if not norm.num_batches_tracked:
                norm.load_state_dict(state)
            norm.eval()


def _put_together(norms: list[_BatchNorm], total: Callable[[Sequence[float]], list[float]]) -> None:
    """The mean over all processes' batches, of which each norm knows how many passed it here."""
    tracked = [(n.running_mean, n.running_var, n.num_batches_tracked) for n in norms]
    known = [(m, v, n) for m, v, n in tracked if m is not None and v is not None and n is not None]
    sums = [torch.cat([n * m, n * v, n[None]]).double().cpu() for m, v, n in known]
    if not sums:
        return
    found = torch.tensor(total(torch.cat(sums).tolist()), dtype=torch.float64).split([len(s) for s in sums])
    for (mean, variance, count), added in zip(known, found):
        count.fill_(int(added[-1]))
        both = added[:-1] / added[-1].clamp(min=1)
        mean.copy_(both[: len(mean)])
        variance.copy_(both[len(mean) :])
