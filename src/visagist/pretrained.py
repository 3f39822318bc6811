"""Finding a model by what a person calls it, the name of a zoo model, a folder, or `hub:owner/name`; and saving one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from visagist.boundary.schema import read_json
from visagist.checkpoints.checkpoint import HUB_FILES
from visagist.checkpoints.descriptions import Description, Words
from visagist.errors import VisagistError, nearest

ZOO = Path(__file__).resolve().parent / "zoo"
REINSTALL = "install visagist again"
HUB = "hub:"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


class Found(NamedTuple):
    """A model folder and what to call the model."""

    name: str
    folder: Path


def zoo() -> tuple[str, ...]:
    """Names of the methods' models that ship with visagist, alphabetically; judges and the landmark network are not."""
    return tuple(sorted(p.parent.name for p in ZOO.glob("*/config.json") if _described(p).kind == "method"))


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


def model_for(attributes: Sequence[str]) -> str:
    """The best zoo model for the first of these attributes that edits them all, else that of another, else any that does.

    Where none edits all of them it is the best for the first. VisagistError where the zoo edits one of them not at all.
    """
    best = [default_model(attribute) for attribute in attributes]
    for name in dict.fromkeys([*best, *zoo()]):
        described = _described(ZOO / name / "config.json")
        known = [str(vector.get("attribute")) for vector in described.vectors or ()] or described.attributes
        if set(attributes) <= set(known):
            return name
    return best[0]


def find_model(name: str | Path) -> Found:
    """The folder of a zoo model, of a run (its best/, else its last/), of a model, or of a download from the hub.

    A zoo name goes before a folder of the same name: write ./NAME for the folder. Only `hub:` uses the network. Raises
    VisagistError with the nearest zoo names where nothing is found.
    """
    if isinstance(name, str):
        if name.startswith(HUB):
            return _download(name.removeprefix(HUB))
        if name and Path(name).name == name and (ZOO / name / "config.json").exists():
            return Found(name, ZOO / name)
    folder = Path(name)
    if not folder.is_dir() or str(name) == "":
        raise VisagistError(f"no model {str(name)!r}, neither in the zoo nor as a folder: {nearest(str(name), zoo())}")
    own = folder.resolve().name
    if not (folder / "config.json").exists():
        for part in ("best", "last"):
            if (folder / part).is_dir():
                return Found(own, folder / part)
    return Found(folder.resolve().parent.name if own in ("best", "last") else own, folder)


def _download(repository: str) -> Found:
    if not _REPOSITORY.fullmatch(repository):
        raise VisagistError(f"no repository {repository!r} on the hub: write hub:owner/name")
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(repository, allow_patterns=list(HUB_FILES))
    except (OSError, ValueError) as error:
        raise VisagistError(
            f"cannot fetch {HUB}{repository}: {first_line(error)}; check the name and the network"
        ) from error
    return Found(repository.split("/")[1], Path(folder))


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


def first_line(error: Exception) -> str:
    """The first line of an exception's message, or its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _described(path: Path) -> Description:
    try:
        return read_json(path, Description, REINSTALL)
    except FileNotFoundError as error:
        raise VisagistError(f"there is no {path}: {REINSTALL}") from error
