"""What an installation has and lacks, as plain values for `visagist doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from visagist import judges
from visagist.evaluation.reading_cache import MOST_BYTES, MOST_FILES, readings_folder
from visagist.files import cache_folder
from visagist.training import checkpoint
from visagist.training.precision import has_bf16
from visagist.version import __version__

PACKAGES = (
    "torch", "numpy", "pillow", "safetensors", "scikit-learn", "pyarrow", "skia-python", "dlib-bin", "huggingface_hub",
)  # fmt: skip
# What each extra adds, by its package.
EXTRAS = {
    "av": "videos, visagist[video]",
    "imagecodecs": "16-bit photographs, visagist[deep]",
    "pillow_heif": "HEIC photographs, visagist[heic]",
    "c2pa-python": "signed content credentials, visagist[c2pa]",
}
CPU_BUILD = "pip install torch --index-url https://download.pytorch.org/whl/cpu"


def diagnose() -> dict[str, Any]:
    """Versions, devices, arithmetic, shipped models, and `advice`: a line for each thing that could be better."""
    return {
        "versions": {"visagist": __version__, "python": platform.python_version(), **_versions()},
        "extras": {what: _version(name) for name, what in EXTRAS.items()},
        "devices": _devices(),
        "folders": {"cache": str(cache_folder()), "zoo": str(judges.ZOO)},
        "cache": _kept(),
        "zoo": _zoo(),
        "advice": _advice(),
    }


def _versions() -> dict[str, str]:
    return {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _devices() -> dict[str, Any]:
    cuda = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": cuda or "none",
        "mps": torch.backends.mps.is_available(),
        "bf16 on cpu": has_bf16(torch.device("cpu")),
        "bf16 on cuda": bool(cuda) and has_bf16(torch.device("cuda")),
        "torch built for": f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU",
    }


def _kept() -> dict[str, str]:
    """What the cache folder holds, and how it is cleared."""
    readings = readings_folder()
    folders = [f for f in cache_folder().iterdir() if f.is_dir() and f != readings] if cache_folder().is_dir() else []
    return {
        "packs of faces": _size(folders),
        "readings of photographs": f"{_size([readings])}, at most {MOST_FILES * MOST_BYTES / 2**20:.0f} MiB",
        "to clear them": f"delete {cache_folder()}, or {readings} alone; all of it is made again when it is asked for",
    }


def _size(folders: Iterable[Path]) -> str:
    total = sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())
    return f"{total / 2**20:.1f} MiB"


def _zoo() -> dict[str, str]:
    found = {}
    for config in sorted(judges.ZOO.glob("*/config.json")):
        described = checkpoint.read_description(config.parent)
        size = sum(file.stat().st_size for file in config.parent.glob("*.safetensors")) / 2**20
        names = described["attributes"]
        shown = ", ".join(names) if 0 < len(names) <= 3 else f"{len(names)} attributes" if names else "five points"
        found[config.parent.name] = f"{described['name']}, {shown}, {described['image_size']} px, {size:.1f} MiB"
    return found or {"models": "none"}


def _advice() -> list[str]:
    lines = []
    if torch.version.cuda and not torch.cuda.is_available():
        lines.append(f"torch is a CUDA build and there is no CUDA device; the CPU build is far smaller: {CPU_BUILD}")
    missing = [name for name, version in _versions().items() if version == "missing"]
    if missing:
        lines.append(f"missing: pip install {' '.join(missing)}")
    cache = cache_folder()
    nearest = next((folder for folder in (cache, *cache.parents) if folder.exists()), Path("/"))
    if not os.access(nearest, os.W_OK):
        lines.append(f"the cache folder {cache} cannot be written: set VISAGIST_CACHE to one that can")
    return lines

