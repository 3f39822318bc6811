"""The machine and the versions of packages, for manifests and `visagist doctor`."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from functools import cache
from pathlib import Path

import torch

from visagist.version import __version__

# What a training runs through.
TRAINS = ("methods", "networks", "training", "data", "losses.py", "pixels.py", "attributes.py")


def describe_machine() -> dict[str, object]:
    """Describe the machine that times are measured on."""
    return {
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def machine_class(device: torch.device) -> str:
    """The kind of machine that a device is of: runs of one kind are equal, those of two may differ."""
    if device.type == "cuda":
        return f"cuda, {torch.cuda.get_device_name(device)}"
    return f"{device.type}, {platform.machine()}"


@cache
def code_of_training() -> str:
    """The version of the code that trains: 12 digits of the SHA-256 over its files, whatever the package is called."""
    root, whole = Path(__file__).parent, hashlib.sha256()
    for name in TRAINS:
        path = root / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            whole.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return whole.hexdigest()[:12]


PACKAGES = ("torch", "numpy", "scikit-learn", "pillow")


def package_versions() -> dict[str, str]:
    """Versions of visagist, Python and the packages that compute figures."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"visagist": __version__, "python": platform.python_version(), **packages}
