"""The machine and the versions of packages, for manifests and `visagist doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform

import torch

from visagist.version import __version__


def describe_machine() -> dict[str, object]:
    """Describe the machine that times are measured on."""
    return {
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


PACKAGES = ("torch", "numpy", "scikit-learn", "pillow")


def package_versions() -> dict[str, str]:
    """Versions of visagist, Python and the packages that compute figures."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"visagist": __version__, "python": platform.python_version(), **packages}
