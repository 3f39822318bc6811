"""Read safetensors files: names, types and shapes from the header before memory is allocated for them."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from visagist.boundary.untrusted import WEIGHT_BYTES, open_regular
from visagist.errors import VisagistError, first_line

MOST_HEADER_BYTES = 8 * 2**20
# By the names that the format gives them; weights of other types are no model's.
FLOATING = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
WHOLE = {"BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64}


class TensorHeader(NamedTuple):
    """What a header says of one tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def is_floating_point(self) -> bool:
        return self.dtype in FLOATING


def read_header(path: Path, remedy: str) -> dict[str, TensorHeader]:
    """What a safetensors file declares, by name; its offsets and sizes were checked against its length.

    Raises VisagistError, ending with `remedy`, where it cannot be read, is damaged, or holds a type that no model has, and
    FileNotFoundError where there is none.
    """
    try:
        with open_regular(path, WEIGHT_BYTES) as opened:
            size, start = os.fstat(opened.fileno()).st_size, opened.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(size, MOST_HEADER_BYTES):
            raise VisagistError(f"cannot read {path}: its header is said to have {length:,} bytes; {remedy}")
        with safe_open(str(path), framework="pt") as file:
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 it is no mapping
            declared = {name: TensorHeader(part.get_dtype(), tuple(part.get_shape())) for name, part in parts.items()}
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError, ValueError) as error:
        raise VisagistError(f"cannot read {path}: {first_line(error)}; {remedy}") from error
    for name, tensor in declared.items():
        if tensor.dtype not in FLOATING and tensor.dtype not in WHOLE:
            known = ", ".join(FLOATING)
            raise VisagistError(f"{path}: {name} is of type {tensor.dtype}, weights are of {known}; {remedy}")
    return declared


def read_tensors(path: Path, remedy: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file; VisagistError as for `read_header`, and where a number is not finite."""
    read_header(path, remedy)
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise VisagistError(f"cannot read {path}: {first_line(error)}; {remedy}") from error
    problem = find_defect(tensors)
    if problem:
        raise VisagistError(f"{path}: {problem}; {remedy}")
    return tensors


def find_defect(tensors: Mapping[str, Tensor]) -> str | None:
    """Why no network can compute with these tensors, such as the first that is not finite; None if it can."""
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            return f"{name} has values that are not finite"
        if name.endswith("running_var") and value.numel() and float(value.min()) < 0:
            return f"{name} is a variance and has {float(value.min()):g}, which is below 0"
    return None


def count_bytes(tensors: Mapping[str, Tensor]) -> int:
    """How much memory tensors take, or would take on another device than meta."""
    return sum(math.prod(value.shape) * value.element_size() for value in tensors.values())
