"""Batch-norm statistics of the faces that a model is used on, in place of those that it was trained with."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from visagist.methods.base import Batch
from visagist.networks.convolutional import batch_norms


@torch.no_grad()
def settle_statistics(model: nn.Module, use: Callable[[Batch], object], batches: Iterable[Batch]) -> None:
    """Take the running means and variances of all batch norms anew, over `use` of `batches`; no weight changes.

    A network that trains on augmented faces gathers their statistics, and averaged weights have an average of the
    statistics of older ones; neither are those of the plain faces that the network will see. A norm that `use` does not
    reach keeps its own. The model is left in evaluation mode.
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
    finally:
        for norm, (momentum, state) in zip(norms, before):
            norm.momentum = momentum
            if not norm.num_batches_tracked:
                norm.load_state_dict(state)
            norm.eval()
