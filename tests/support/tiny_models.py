"""Any method at a few hundred weights: the fields of its Config that are sizes are made small."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from visagist.methods.base import Trainable


def tiny_config(cls: type[Trainable], **changes: Any) -> Any:
    """The method's Config with every width 2, every hidden layer 8 4 latent dimensions and random features, where it
    has such fields."""
    small = {}
    for field in dataclasses.fields(cls.Config):
        if field.name.endswith("width"):
            small[field.name] = 2
        elif field.name.endswith("hidden"):
            small[field.name] = 8
        elif field.name == "latent":
            small[field.name] = 4
        elif field.name == "feature_weights":
            small[field.name] = "random"
    return cls.Config(**{**small, **changes})


def tiny_model(
    cls: type[Trainable], attributes: tuple[str, ...] = ("Smiling",), image_size: int = 16, **changes: Any
) -> Any:
    """A method with tiny networks and weights that are the same every time."""
    torch.manual_seed(0)
    return cls(tiny_config(cls, **changes), attributes, image_size)
