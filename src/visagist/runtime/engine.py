"""Which library computes: torch, or onnxruntime over exported models."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from functools import cache
from pathlib import Path

from visagist.boundary.loaded import loaded_module
from visagist.errors import VisagistError, nearest

BACKENDS = ("auto", "torch", "onnx")
INSTALL = "pip install visagist[onnx]"
_ACCELERATORS = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # of CUDA, of ROCm, of Windows below Linux


@cache
def has_torch() -> bool:
    """Whether torch is installed; it is not imported."""
    return "torch" in sys.modules or importlib.util.find_spec("torch") is not None


@cache
def has_onnxruntime() -> bool:
    """Whether onnxruntime is installed; it is not imported."""
    return importlib.util.find_spec("onnxruntime") is not None


def uses_torch() -> bool:
    """Whether torch does the work that both can do: it does where it is loaded, and where onnxruntime is not installed."""
    return loaded_module("torch") is not None or not has_onnxruntime()


def choose_backend(asked: str, device: str, has_graphs: bool) -> str:
    """`torch` or `onnx`, for a model with or without graphs on a device: what was asked for, or for auto the quicker.

    On the processor that is onnxruntime, which is quicker for most models and batches, on an accelerator torch.
    VisagistError for another word, and where neither can run the model.
    """
    if asked not in BACKENDS:
        raise VisagistError(f"no backend {asked!r}: {nearest(asked, BACKENDS)}")
    runs_graphs = has_graphs and has_onnxruntime()
    if asked == "torch" or (asked == "auto" and has_torch() and not (runs_graphs and _on_processor(device))):
        return "torch"
    if not has_onnxruntime():
        missing = "neither torch nor onnxruntime is" if not has_torch() else "onnxruntime is not"
        raise VisagistError(f"{missing} installed: {INSTALL}")
    return "onnx"


def default_backend() -> str:
    """The backend where none is named: torch, if it is installed."""
    return "torch" if has_torch() else "onnx"


def _on_processor(device: str) -> bool:
    """Whether this device is the processor; torch is imported only where there may be another one."""
    if device != "auto":
        return device == "cpu"
    if "torch" not in sys.modules and not _may_have_accelerator():
        return True
    import torch

    return not (torch.cuda.is_available() or torch.backends.mps.is_available())


def _may_have_accelerator() -> bool:
    if importlib.metadata.version("torch").endswith("+cpu"):
        return False
    return sys.platform != "linux" or any(Path(path).exists() for path in _ACCELERATORS)


def network_threads() -> int:
    """How many threads networks have in this process, whichever library runs them."""
    torch = loaded_module("torch")
    return processor_threads() if torch is None else int(torch.get_num_threads())


def limit_threads(number: int) -> None:
    """Give networks of this process so many threads on the processor, whichever library runs them."""
    os.environ["OMP_NUM_THREADS"] = str(number)  # torch reads it when it is loaded, `processor_threads` at each graph
    torch = loaded_module("torch")
    if torch is not None:
        torch.set_num_threads(number)


def processor_threads() -> int:
    """How many threads a network is given on the processor: $OMP_NUM_THREADS, else one a core."""
    named = os.environ.get("OMP_NUM_THREADS", "")
    if named.isdecimal() and int(named):
        return int(named)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
