"""How much memory a piece of work needs at its peak, beyond what was held before it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import torch

MIB = 2**20
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
HOW = "only Linux tells a process its own peak since a moment, and CUDA that of a GPU"


def peak_of(work: Callable[[], object], device: torch.device) -> float | None:
    """MiB that `work` takes at its peak beyond what was held before: of the GPU, or of the process on the CPU.

    None where the system does not tell.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        held = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return (torch.cuda.max_memory_allocated(device) - held) / MIB
    if device.type != "cpu" or not CLEAR.exists():
        return None
    _give_back()
    if not _forget_the_peak():
        return None
    before = _resident("VmRSS")
    work()
    return max(0.0, _resident("VmHWM") - before)


def _give_back() -> None:
    """Let the C library return to the system what was freed and kept: else work that was done once before takes nothing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _forget_the_peak() -> bool:
    """Let the process's peak begin anew; whether the system can."""
    try:
        CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _resident(which: str) -> float:
    """MiB of this process in memory: now (VmRSS), or at most since the peak was forgotten (VmHWM)."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(which))
    return int(line.split()[1]) / 1024
