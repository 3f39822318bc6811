"""An exponential moving average of all weights and statistics, which is what a checkpoint's model holds."""

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
        """Within, the module has the averaged state; afterwards its own again."""
        with put_back(module):
            module.load_state_dict(self.shadow)
            yield

    def load(self, shadow: dict[str, Tensor], updates: int) -> None:
        self.updates = updates
        for name, value in shadow.items():
            self.shadow[name].copy_(value)


@contextmanager
def put_back(module: nn.Module) -> Iterator[None]:
    """Whatever happens to the module's state within, afterwards it has the one it had before."""
    own = {name: value.detach().clone() for name, value in module.state_dict().items()}
    try:
        yield
    finally:
        module.load_state_dict(own)
