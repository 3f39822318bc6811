"""Model folders without what is in their weights: what lies in them, which is meant, and their `config.json`. No torch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from visagist.boundary.ownership import MODEL_KEYS, Owned, holds_only, list_entries, probe_object, refuse_foreign
from visagist.boundary.schema import check, read_json
from visagist.checkpoints.descriptions import Description
from visagist.errors import VisagistError

FORMAT_VERSION = 1
DAMAGED = "the file is damaged, take another checkpoint"
# What `visagist export` writes beside a model.
GRAPH_FILES = tuple(
    f"{name}.onnx"
    for name in ("encode", "decode", "classify", "prepare", "move", "edit", "landmarks", "find", "repaint")
)
HUB_FILES = ("config.json", "model.safetensors", "README.md", *GRAPH_FILES)
FILES = (*HUB_FILES, "training_state.json", "training_state.safetensors")


def holds_parts(folder: Path) -> bool:
    """Whether a folder, which is no link, holds only files of a model, some or all."""
    return holds_only(folder, part_of(folder))


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model, whole or damaged, and nothing else."""
    if not holds_parts(folder):
        return False
    whole = {"config.json", "model.safetensors"} <= {path.name for path in folder.iterdir()}
    return whole or probe_object(folder / "config.json").keys() >= MODEL_KEYS


def check_fresh(run: Path) -> None:
    """A VisagistError where a run folder already holds a run."""
    if is_model(run / "last"):
        raise VisagistError(f"{run} already holds a run: add --resume to continue it, or choose another --out")


def part_of(folder: Path) -> Owned:
    def is_part(path: Path) -> bool:
        known = path.name in FILES or path.name.startswith(".config.json.writing-")  # left by a kill
        return known and path.parent == folder and not path.is_symlink()

    return is_part


def refuse_foreign_model(folder: Path) -> None:
    """VisagistError where saving a model would replace what is no model: the folder is empty, absent or one."""
    if folder.is_symlink() or list_entries(folder):
        refuse_foreign(folder, "move it away, or choose another --out", is_model)


def await_swap(folder: Path) -> None:
    """Wait for the two renames of another process; restore the old folder where it was killed between them."""
    previous = folder.with_name(f".{folder.name}.previous")
    for _ in range(20):
        if folder.exists() or not is_model(previous):
            return
        time.sleep(0.05)
    previous.rename(folder)


def model_exists(folder: Path) -> bool:
    """Whether a model folder exists, also in the middle of another process's two renames."""
    await_swap(folder)
    return folder.exists()


def best_checkpoint(run: Path) -> Path:
    """The checkpoint of a run that is used: `best`, else `last`; a model folder is returned as it is."""
    return run if (run / "config.json").exists() else run / ("best" if model_exists(run / "best") else "last")


def read_description(folder: Path) -> dict[str, Any]:
    """The `config.json` of a model folder, checked field by field, or a VisagistError that says why it cannot be one."""
    await_swap(folder)
    path = folder / "config.json"
    try:
        described: dict[str, Any] = read_json(path, Any, DAMAGED)
    except FileNotFoundError as error:
        raise VisagistError(f"{folder} is no model folder: it has no config.json; name a run's last/ or best/") from error
    version = described.get("format_version") if isinstance(described, dict) else None
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise VisagistError(
            f"{folder} has checkpoint format {version!r}; this visagist reads format {FORMAT_VERSION}: "
            "use the visagist that wrote it"
        )
    check(described, Description, str(path), DAMAGED)
    return described
