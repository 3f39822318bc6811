"""An exponential moving average of all weights and statistics; checkpoints hold it as the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Shadow of a module's state; early on it follows faster: decay = min(decay, (1 + n) / (10 + n))."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self.shadow = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        state = module.state_dict()
        floating = [name for name, value in state.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.shadow[n] for n in floating], [state[n] for n in floating], 1 - decay)
        for name, value in state.items():
            if not value.is_floating_point():
                self.shadow[name].copy_(value)

    @contextmanager
    def swapped_in(self, module: nn.Module) -> Iterator[None]:
        """Give the module the averaged state within the context."""
        with preserve_state(module):
            module.load_state_dict(self.shadow)
            yield

    def load(self, shadow: dict[str, Tensor], updates: int) -> None:
        self.updates = updates
        for name, value in shadow.items():
            self.shadow[name].copy_(value)


@contextmanager
def preserve_state(module: nn.Module) -> Iterator[None]:
    """Restore the state of the module at the end of the context."""
    own = {name: value.detach().clone() for name, value in module.state_dict().items()}
    try:
        yield
    finally:
        module.load_state_dict(own)
