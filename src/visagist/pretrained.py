"""Find models, judges and networks by zoo name, folder, run or `hub:owner/name`, and push models to the hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from visagist.attributes import aliases_of
from visagist.boundary.schema import read_json
from visagist.checkpoints.descriptions import Description, Words
from visagist.checkpoints.folders import HUB_FILES, best_checkpoint, read_description
from visagist.errors import VisagistError, first_line, nearest

ZOO = Path(__file__).resolve().parent / "zoo"
REINSTALL = "install visagist again"
HUB = "hub:"
OWN_TERMS = "This model is not one of those that ship with visagist: its terms are its maker's."
ZOO_TERMS = (
    "The shipped weights were trained on CelebA: non-commercial research and education only, never to deceive or to "
    "identify people. The terms are in visagist/zoo/LICENSE."
)
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_TITLES = {"method": "model", "landmarks": "landmark network"}


class ModelFolder(NamedTuple):
    """A model folder and what to call the model."""

    name: str
    folder: Path


def shipped_folders() -> tuple[Path, ...]:
    """The folders of all models, judges and networks that ship with visagist, by name."""
    return tuple(sorted(config.parent for config in ZOO.glob("*/config.json")))


def shipped_folder(name: str | Path) -> Path | None:
    """The folder of what ships with visagist under this name; None where nothing does."""
    folder = ZOO / name
    return folder if str(name) == folder.name and (folder / "config.json").exists() else None


def zoo(kind: str = "method") -> tuple[str, ...]:
    """Names of what ships with visagist of one kind: "method", "judge" or "landmarks"."""
    return tuple(folder.name for folder in shipped_folders() if _read_description(folder).kind == kind)


def defaults() -> dict[str, str]:
    """The best zoo model of each attribute that the zoo can edit."""
    path = ZOO / "defaults.json"
    return dict(read_json(path, dict[str, Words], REINSTALL)) if path.exists() else {}


def default_model(attribute: str) -> str:
    """The best zoo model for an attribute; VisagistError with those that the zoo can edit if there is none."""
    best = defaults()
    if attribute not in best:
        raise VisagistError(f"no zoo model edits {attribute!r}: {nearest(attribute, best)} Or name a model of your own")
    return best[attribute]


def models_for(attributes: Sequence[str]) -> dict[str, list[str]]:
    """The best zoo model of each attribute with those that it edits, in the order in which models are first needed.

    VisagistError for an attribute that no zoo model edits.
    """
    chosen: dict[str, list[str]] = {}
    for attribute in attributes:
        chosen.setdefault(default_model(attribute), []).append(attribute)
    return chosen


def edited_attributes(name: str) -> tuple[str, ...]:
    """What a zoo model edits: its attributes, or those of its attribute vectors."""
    described = _read_description(ZOO / name)
    return tuple(str(vector.get("attribute")) for vector in described.vectors or ()) or tuple(described.attributes)


def describe_edits() -> list[dict[str, Any]]:
    """What shipped models edit: each attribute with the words for it and, the best first, its models with their figures.

    The figures are those of the models' cards: `given` and `taken`, the share that the lowest of several judges reads as the
    other class at strength 1 and -1, else what `judge-64` reads, and `identity`; of photographs where a card has those
    alone; None where it has none.
    """
    best, models = defaults(), {name: edited_attributes(name) for name in zoo()}
    cards = {name: (ZOO / name / "README.md").read_text(encoding="utf-8") for name in models}
    rows = []
    for attribute in sorted({*best, *(edited for names in models.values() for edited in names)}):
        able = [name for name, edited in models.items() if attribute in edited]
        able.sort(key=lambda name: (name != best.get(attribute), name))
        figures = [{"model": name, **_figures_of(cards[name], name, attribute)} for name in able]
        rows.append({"attribute": attribute, "words": aliases_of(attribute), "models": figures})
    return rows


def _figures_of(card: str, model: str, attribute: str) -> dict[str, float | None]:
    aligned, photographs = f"{attribute}.at_strength", f"photographs.{model}.{attribute}"
    keys = {
        "given": (f"panel.{aligned}.given.success", f"edit.{aligned}.from_0.success_1", f"{photographs}.given.success"),
        "taken": (f"panel.{aligned}.taken.success", f"edit.{aligned}.success_0", f"{photographs}.taken.success"),
        "identity": (f"identity.{aligned}.edit", f"{photographs}.given.identity"),
    }
    figures: dict[str, float | None] = {}
    for name, possible in keys.items():
        rows = [re.search(rf"^\| {re.escape(key)} \| (\S+) \|", card, re.MULTILINE) for key in possible]
        figures[name] = next((float(row[1]) for row in rows if row), None)
    return figures


def find_model(name: str | Path, kind: str = "method") -> ModelFolder:
    """Find the folder of a zoo model, of a run (its best/, else its last/), of a model, or of a download from the hub.

    A zoo name goes before a folder of the same name: write ./NAME for the folder. Only `hub:` uses the network. `kind` is
    "method", "judge" or "landmarks". Raises VisagistError with the nearest zoo names of the kind where nothing is found.
    """
    text = str(name)
    if text.startswith(HUB):
        return _download(text.removeprefix(HUB))
    shipped = shipped_folder(text)
    if shipped is not None:
        return ModelFolder(text, shipped)
    folder = Path(name).expanduser()
    if not folder.is_dir() or text == "":
        known = nearest(text, zoo(kind))
        raise VisagistError(f"no {_TITLES.get(kind, kind)} {text!r}, neither in the zoo nor as a folder: {known}")
    own, best = folder.resolve().name, best_checkpoint(folder)
    if best != folder and best.is_dir():
        return ModelFolder(own, best)
    return ModelFolder(folder.resolve().parent.name if own in ("best", "last") else own, folder)


def holds_kind(name: str | Path, kind: str) -> bool:
    """Whether a zoo name, a model folder or a run holds a model of this kind; the hub is not asked."""
    if str(name).startswith(HUB) or not (shipped_folder(name) or Path(name).expanduser().is_dir()):
        return False
    folder = find_model(name).folder
    return (folder / "config.json").exists() and read_description(folder)["kind"] == kind


def _download(repository: str) -> ModelFolder:
    if not _REPOSITORY.fullmatch(repository):
        raise VisagistError(f"no repository {repository!r} on the hub: write hub:owner/name")
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(repository, allow_patterns=list(HUB_FILES))
    except (OSError, ValueError) as error:
        raise VisagistError(
            f"cannot fetch {HUB}{repository}: {first_line(error)}; check the name and the network"
        ) from error
    return ModelFolder(repository.split("/")[1], Path(folder))


def upload(folder: Path, repository: str, private: bool) -> str:
    """Put a model folder on the hub, making the repository if need be; returns its address."""
    if not _REPOSITORY.fullmatch(repository):
        raise VisagistError(f"no repository can be called {repository!r}: write owner/name")
    from huggingface_hub import HfApi

    try:
        api = HfApi(library_name="visagist")
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, allow_patterns=list(HUB_FILES))
    except (OSError, ValueError) as error:
        raise VisagistError(
            f"cannot push to {repository}: {first_line(error)}; check the network, and log in with `hf auth login`"
        ) from error
    return str(address)


def _read_description(folder: Path) -> Description:
    path = folder / "config.json"
    try:
        return read_json(path, Description, REINSTALL)
    except FileNotFoundError as error:
        raise VisagistError(f"there is no {path}: {REINSTALL}") from error
