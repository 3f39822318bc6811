"""`visagist methods`, `recipes`, `inspect`, `doctor` and `demo`."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.boundary.untrusted import check_regular, refuse_addresses
from visagist.cli.console import print_json, print_line, show
from visagist.cli.options import check_model
from visagist.errors import VisagistError
from visagist.files import cache_folder
from visagist.photos.formats import PICTURES, VIDEO_SUFFIXES
from visagist.version import __version__

if TYPE_CHECKING:
    from visagist.photos.provenance import Provenance


AS_JSON = typer.Option("--json", help="Print JSON.")


# What trains beside methods, by its kind.
_SERVES = {"judge": "score", "landmarks": "place five points", "finder": "find faces"}


def methods(as_json: Annotated[bool, AS_JSON] = False) -> None:
    """What can be trained: methods with their papers and settings, the attribute judge, the landmark network.

    \b
    Examples:
      visagist methods
      visagist methods --json
    """
    from rich.table import Table

    from visagist.methods.base import CAPABILITIES, Method
    from visagist.pipelines import plan

    trainables = plan.trainables()
    if as_json:
        print_json([_method_facts(name, cls) for name, cls in trainables.items()])
        return
    table = Table("name", "what", "paper", "can")
    for name, cls in trainables.items():
        if issubclass(cls, Method):
            table.add_row(name, cls.title, cls.paper, ", ".join(c for c in CAPABILITIES if c in cls.capabilities))
        else:
            table.add_row(name, cls.title, "", _SERVES.get(cls.kind, cls.kind))
    show(table)


def _method_facts(name: str, cls: type) -> dict[str, object]:
    import dataclasses

    return {
        "name": name,
        "title": getattr(cls, "title", ""),
        "paper": getattr(cls, "paper", ""),
        "capabilities": sorted(getattr(cls, "capabilities", ())),
        "settings": dataclasses.asdict(cls.Config()),  # type: ignore[attr-defined]
    }


def recipes(
    name: Annotated[str | None, typer.Argument(help="Show one recipe whole.", show_default=False)] = None,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """Experiments by name: method, settings, expected scores and hours on two CPU cores.

    \b
    Examples:
      visagist recipes
      visagist recipes ifcvae-gan/table3-ours
    """
    import dataclasses

    from rich.table import Table

    from visagist.recipes import available, get

    if name is not None:
        print_json(dataclasses.asdict(get(name)))
        return
    known = available()
    if as_json:
        print_json([dataclasses.asdict(recipe) for recipe in known.values()])
        return
    table = Table("recipe", "method", "attributes", "images", "hours", "expected", "source")
    for recipe in known.values():
        expected = "  ".join(f"{key.removeprefix('reconstruction.')} {value:g}" for key, value in recipe.expected.items())
        attributes = recipe.attribute_set or ", ".join(recipe.attributes[:3]) + " …" * (len(recipe.attributes) > 3)
        table.add_row(
            recipe.name, recipe.method, attributes or "all", f"{recipe.training.images:,}", f"{recipe.hours:g}", expected,
            recipe.source,
        )  # fmt: skip
    show(table)


def doctor(as_json: Annotated[bool, AS_JSON] = False) -> None:
    """What this installation has: versions, devices, arithmetic, shipped models; and what could be better.

    \b
    Examples:
      visagist doctor
      visagist doctor --json
    """

    report = diagnose()
    if as_json:
        print_json(report)
        return
    for group, facts in report.items():
        if isinstance(facts, dict):
            print_line(group)
            for key, value in facts.items():
                print_line(f"  {key:<44}{', '.join(map(str, value)) if isinstance(value, list) else value}")
        else:
            for line in facts:
                print_line(f"! {line}")


def demo(
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("demo"),
    model: Annotated[
        str | None, typer.Option(help="A model; by default the best shipped one for the smile.", callback=check_model)
    ] = None,
    seed: Annotated[int, typer.Option(help="Which faces are drawn.")] = 0,
) -> None:
    """Edit a portrait and a sheet of drawn faces with the shipped model, offline, into a page to look at.

    \b
    Example:
      visagist demo --out demo
    """
    from visagist.progress import Messages
    from visagist.reports.demo import make_page

    print_line(make_page(out, model=model, seed=seed, progress=Messages()))


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
    from visagist.pretrained import ZOO

    return {
        "versions": {"visagist": __version__, "python": platform.python_version(), **_versions()},
        "extras": {what: _version(name) for name, what in EXTRAS.items()},
        "devices": _devices(),
        "folders": {"cache": str(cache_folder()), "zoo": str(ZOO)},
        "cache": _cache_contents(),
        "zoo": _shipped_models(),
        "advice": _advice(),
    }


def _versions() -> dict[str, str]:
    return {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _devices() -> dict[str, Any]:
    import torch

    from visagist.training.precision import has_bf16

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


def _cache_contents() -> dict[str, str]:
    """What the cache folder holds, and how it is cleared."""
    from visagist.evaluation.reading_cache import MOST_BYTES, MOST_FILES, readings_folder

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


def _shipped_models() -> dict[str, str]:
    from visagist.checkpoints.folders import read_description
    from visagist.pretrained import edited_attributes, shipped_folders

    models = {}
    for folder in shipped_folders():
        described = read_description(folder)
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 2**20
        names = edited_attributes(folder.name)
        shown = ", ".join(names) if 0 < len(names) <= 3 else f"{len(names)} attributes" if names else "five points"
        models[folder.name] = f"{described['name']}, {shown}, {described['image_size']} px, {size:.1f} MiB"
    return models or {"models": "none"}


def _advice() -> list[str]:
    import torch

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


def inspect(
    what: Annotated[str, typer.Argument(metavar="FILE|MODEL", help="A picture, a video, or a model's name or folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how a picture or video came to be, by its own account, or what a model is.

    That a file says nothing does not mean that it is a photograph: what is written into a file is easily lost.

    \b
    Examples:
      visagist inspect smiling.jpg
      visagist inspect smiling.jpg --json
      visagist inspect ifcvae-gan-smiling-64
    """
    path = Path(what).expanduser()
    if path.exists() and not path.is_dir():
        check_regular(path)
        from visagist.photos.provenance_reading import read_provenance

        provenance = read_provenance(path)
        if as_json:
            print_json({"file": str(path), "known": provenance.known, **provenance.as_json()})
        else:
            for line in _describe_provenance(path, provenance):
                print_line(line)
        return
    refuse_addresses(what)
    if path.suffix.lower() in (*PICTURES, *VIDEO_SUFFIXES):
        raise VisagistError(f"there is no file {path}: check the path")
    facts = _model_facts(what)
    if as_json:
        print_json(facts)
        return
    for key, value in facts.items():
        print_line(f"{key:<12}{', '.join(map(str, value)) if isinstance(value, list) else value}")


def _describe_provenance(path: Path, provenance: Provenance) -> list[str]:
    """Lines for a person about what a file says of itself."""
    from visagist.photos.provenance import ARRANGED, EDITED, GENERATED

    if not provenance.known:
        return [f"{path}: says nothing of having been edited or generated, which proves nothing"]
    kinds = {
        EDITED: "edited with a generative model", GENERATED: "generated by a model", ARRANGED: "put together of pictures"
    }  # fmt: skip
    source = kinds.get(provenance.source_type, provenance.source_type or "does not say of what kind it is")
    lines = [f"{path}: {source}"]
    for number, step in enumerate(provenance.steps, 1):
        faces = f", {step.faces} {'face' if step.faces == '1' else 'faces'}" if step.faces not in ("", "0") else ""
        mode = f", mode {step.mode}" if step.mode else ""
        backend = f", computed by {step.backend}" if step.backend else ""
        lines.append(f"  {number}. {step.note}{mode}{faces}{backend} (visagist {step.version})")
        if step.weights:
            lines.append(f"     weights {step.weights}")
    if provenance.software:
        lines.append(f"  software: {provenance.software}")
    for name, value in (provenance.credentials or {}).items():
        lines.append(f"  content credentials, {name}: {value}")
    return lines


def _model_facts(name: str) -> dict[str, Any]:
    """What a model folder says of itself."""
    from visagist.checkpoints.folders import read_description
    from visagist.pretrained import OWN_TERMS, ZOO, ZOO_TERMS, find_model

    model = find_model(name)
    described = read_description(model.folder)
    weights = model.folder / "model.safetensors"
    training, data = described.get("training") or {}, described.get("data") or {}
    shipped = model.folder.resolve().parent == ZOO.resolve()
    return {
        "model": model.name,
        "folder": str(model.folder),
        "method": described["name"],
        "attributes": list(described["attributes"]) or [str(v.get("attribute")) for v in described.get("vectors") or ()],
        "by vectors": bool(described.get("vectors")),
        "image size": described["image_size"],
        "crop": described.get("crop"),
        "weights": f"{weights.stat().st_size / 2**20:.1f} MiB, SHA-256 {described['weights_sha256']}",
        "untrained": bool(described.get("untrained")),
        "calibrated": sorted(described.get("strength") or {}),
        "trained on": data.get("source"),
        "images": training.get("images"),
        "visagist": described.get("visagist"),
        "terms": ZOO_TERMS if shipped else OWN_TERMS,
    }
