"""The machine that figures were taken on, and how busy it was."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

import torch

from visagist.training.precision import has_bf16

PACKAGES = (
    "visagist", "torch", "numpy", "pillow", "lightning-fabric", "pythae", "onnx", "onnxruntime", "openvino", "simplejpeg",
)  # fmt: skip


def described(device: torch.device) -> dict[str, Any]:
    cpus = Path("/proc/cpuinfo")
    models = [line for line in cpus.read_text().splitlines() if line.startswith("model name")] if cpus.is_file() else []
    return {
        "platform": platform.platform(),
        "processor": models[0].partition(":")[2].strip() if models else platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "bf16_is_native": has_bf16(device),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def load_average() -> list[float]:
    """Over 1, 5 and 15 minutes; empty where the system has none."""
    return [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else []
