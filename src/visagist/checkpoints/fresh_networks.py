"""Build a model from its description: check its settings, and its shapes before memory is allocated."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from visagist.boundary.schema import Mismatch, conform_settings
from visagist.boundary.tensor_files import TensorHeader, count_bytes
from visagist.errors import VisagistError, first_line
from visagist.methods.base import Trainable
from visagist.networks.pretrained.vgg19 import RANDOM
from visagist.settings import forget_files

MOST_CALLS = 20_000  # of torch to make networks; the deepest of the recipes make a thousand
FILLS = {
    "normal_", "uniform_", "trunc_normal_", "zero_", "zeros_", "ones_", "fill_", "constant_", "copy_", "orthogonal_",
    "kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_",
}  # fmt: skip
_SHAPES: dict[Any, Callable[..., Sequence[int]]] = {  # of what these return; the last four make a spectral norm
    torch.eye: lambda rows, columns=None: (rows, rows if columns is None else columns),
    torch.nn.functional.normalize: lambda tensor, *_: tensor.shape,
    torch.mv: lambda matrix, vector: matrix.shape[:1],
    torch.vdot: lambda left, right: (),
    torch.Tensor.div: lambda left, right: np.broadcast_shapes(left.shape, getattr(right, "shape", ())),
}
MOST_BYTES_BESIDE = 2**30  # of networks that training needs and the file does not hold


class _ShapesOnly(TorchFunctionMode):
    """Makes networks without their numbers, and ends what makes them without end.

    Some operations on the meta device first import parts of torch that take many seconds. Where only values would come of
    them they are left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise ValueError("its networks have too many parts")
        kwargs = kwargs or {}
        held = [arg for arg in args if isinstance(arg, torch.Tensor)]
        if func in _SHAPES and (not held or any(tensor.is_meta for tensor in held)):
            return torch.empty(_SHAPES[func](*args), device="meta")
        if getattr(func, "__name__", "") in FILLS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def build(cls: type[Trainable], description: Mapping[str, Any]) -> Trainable:
    """The model of a description, with fresh weights; VisagistError where its settings are none, or refuse each other."""
    known = {field.name for field in dataclasses.fields(cls.Config)}
    unknown = description["config"].keys() - known
    if unknown:
        raise VisagistError(f"{cls.name} has no setting {', '.join(sorted(unknown))}: another version wrote it")
    try:
        config = conform_settings(description["config"], cls.Config, "config")
        config = dataclasses.replace(config, **forget_files(vars(config), cls.Config, kept=(RANDOM,)))
        return cls(config, tuple(description["attributes"]), description["image_size"])
    except VisagistError:
        raise
    except Mismatch as error:
        raise VisagistError(f"the config.json of this {cls.name} is damaged: {error}; take another checkpoint") from error
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        # What settings that fit no network raise in torch is of all of these kinds.
        if "meta" in str(error).lower():
            raise VisagistError(
                f"{cls.name} reads values of tensors as it is made, and a checkpoint is checked by shapes alone "
                f"({first_line(error)}): make these tensors with device='cpu' in its __init__"
            ) from error
        raise VisagistError(
            f"{cls.name} cannot be built from its config.json: {first_line(error)}; take another checkpoint"
        ) from error


def check_fits(
    folder: Path, cls: type[Trainable], description: Mapping[str, Any], declared: Mapping[str, TensorHeader]
) -> None:
    """Raise VisagistError where the tensors that a file declares are not those of the description's networks.

    Networks that only training needs may be absent, if they are not absurdly large.
    """
    with torch.device("meta"), _ShapesOnly():
        trainable = build(cls, description)
        state = trainable.state_dict()
    needed = set(trainable.inference_networks) or set(trainable.networks())
    absent = sorted(key for key in state.keys() - declared.keys() if key.split(".")[0] in needed)
    strange = sorted(declared.keys() - state.keys()) + sorted(
        key for key in declared.keys() & state.keys()
        if tuple(state[key].shape) != declared[key].shape
        or state[key].is_floating_point() != declared[key].is_floating_point
    )  # fmt: skip
    if absent or strange:
        raise VisagistError(f"{folder}: weights do not fit {cls.name}: {', '.join((absent + strange)[:3])} …")
    beside = count_bytes({key: value for key, value in state.items() if key not in declared})
    if beside > MOST_BYTES_BESIDE:
        raise VisagistError(
            f"{folder}: its config.json asks for networks of {beside / 2**30:.1f} GiB that model.safetensors does not hold; "
            "the file is damaged, take another checkpoint"
        )
