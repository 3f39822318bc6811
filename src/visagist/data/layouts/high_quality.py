"""FFHQ and CelebAMask-HQ as they are distributed.

Sources: Karras, Laine and Aila (2019), "A Style-Based Generator Architecture for Generative Adversarial Networks", whose
`ffhq-dataset-v2.json` says the split and the landmarks and labels nothing; Lee, Liu, Wu and Luo (2020), "MaskGAN", whose
`CelebAMask-HQ-attribute-anno.txt` has CelebA's 40 attributes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from visagist.boundary.schema import parse_json
from visagist.boundary.untrusted import read_regular
from visagist.data.catalogue import (
    BadPicture,
    Catalogue,
    fingerprint,
    label_table,
    read_csv,
    read_table,
    split_by_hash,
    split_column,
)
from visagist.errors import VisagistError

FFHQ_FILE = "ffhq-dataset-v2.json"
CELEBAMASK_FILE = "CelebAMask-HQ-attribute-anno.txt"
_MAPPING, _PARTITION = "CelebA-HQ-to-CelebA-mapping.txt", "list_eval_partition.txt"
_FFHQ_BYTES = 1 << 30
_FFHQ_FOLDERS = {"images1024x1024": "image", "thumbnails128x128": "thumbnail"}


def read_ffhq(path: Path) -> Catalogue:
    """The pictures of FFHQ that are there, of 1024 pixels or else of 128; they have no labels.

    VisagistError where none is there, or the file of the data set is damaged.
    """
    folder = next((name for name in _FFHQ_FOLDERS if (path / name).is_dir()), None)
    if folder is None:
        raise VisagistError(f"{path} has no folder {' or '.join(_FFHQ_FOLDERS)}: put FFHQ's pictures there")
    _require(path, FFHQ_FILE, "FFHQ's pictures")
    text = read_regular(path / FFHQ_FILE, _FFHQ_BYTES).decode("utf-8-sig", errors="replace")
    entries = parse_json(text, dict[str, Any], str(path / FFHQ_FILE), "fetch it again")
    rows = sorted(entries.items(), key=lambda item: int(item[0]) if item[0].isdecimal() else 0)
    files, splits = [], []
    for _, entry in rows:
        about = entry.get(_FFHQ_FOLDERS[folder], {}) if isinstance(entry, dict) else {}
        name = str(about.get("file_path", "")) if isinstance(about, dict) else ""
        if name.startswith(f"{folder}/") and ".." not in name and (path / name).is_file():
            files.append(name)
            splits.append("train" if entry.get("category") == "training" else "test")
    if not files:
        raise VisagistError(f"none of the {len(rows)} pictures that {FFHQ_FILE} names is in {path}: put them there")
    split = split_column(splits, path / FFHQ_FILE)
    # FFHQ has no part to validate on: a tenth of the training pictures, by their names.
    drawn = split_by_hash(files)
    split = np.where((split == 0) & (drawn == 1), 1, split).astype(np.uint8)
    order = np.argsort(split, kind="stable").tolist()
    return Catalogue(
        source=f"ffhq:{path.resolve().name}",
        location=str(path.resolve()),
        default_crop="square",
        files=tuple(files[i] for i in order),
        labels=np.zeros((len(files), 0), np.uint8),
        names=(),
        split=split[order],
        pictures=lambda: (path / files[i] for i in order),
        fingerprint=fingerprint(path, [FFHQ_FILE, *files]),
        facts={"named_but_absent": len(rows) - len(files)},
    )


def read_celebamask_hq(path: Path) -> Catalogue:
    """The pictures of CelebAMask-HQ that are there, with CelebA's attributes.

    The split is CelebA's where its `list_eval_partition.txt` lies beside, else drawn by the names. VisagistError where no
    picture is there, or a file cannot be read.
    """
    folder = path / "CelebA-HQ-img"
    if not folder.is_dir():
        raise VisagistError(f"{path} has no folder CelebA-HQ-img: give the folder that holds it")
    _require(path, CELEBAMASK_FILE, folder.name)
    lines = [b",".join(line.split()) for line in read_table(path / CELEBAMASK_FILE).splitlines()]
    if len(lines) < 3 or not lines[0].isdigit():
        raise VisagistError(f"{path / CELEBAMASK_FILE} is damaged: it begins with the number of rows and the names")
    table = read_csv(path / CELEBAMASK_FILE, None, b"\n".join([b"file," + lines[1], *lines[2:]]))
    named = [str(name) for name in table.column(0).to_pylist()]
    present = [row for row, name in enumerate(named) if Path(name).name == name and (folder / name).is_file()]
    if not present:
        raise VisagistError(f"none of the {len(named)} pictures that {CELEBAMASK_FILE} names is in {folder}: put them there")
    names, files = tuple(table.column_names[1:]), [named[row] for row in present]
    split, by = _split_of(path, files)
    order = np.argsort(split, kind="stable").tolist()
    known = set(named)
    return Catalogue(
        source=f"celebamask-hq:{path.resolve().name}",
        location=str(path.resolve()),
        default_crop="square",
        files=tuple(files[i] for i in order),
        labels=label_table(table, names, path / CELEBAMASK_FILE)[present][order],
        names=names,
        split=split[order],
        pictures=lambda: (folder / files[i] for i in order),
        fingerprint=fingerprint(path, [CELEBAMASK_FILE, _MAPPING, _PARTITION]) + fingerprint(folder, files),
        bad=tuple(
            BadPicture(file.name, f"unlabelled: no row in {CELEBAMASK_FILE}")
            for file in sorted(folder.glob("*.jpg"))
            if file.name not in known
        ),
        facts={"annotated_but_absent": len(named) - len(present), "split_by": by},
    ).without_unlabelled("unlabelled: {column} is neither −1/1 nor 0/1")


def _require(path: Path, name: str, beside: str) -> None:
    if not (path / name).is_file():
        raise VisagistError(f"{path} has no {name}: put it beside {beside}, with which it comes")


def _split_of(path: Path, files: list[str]) -> tuple[Any, str]:
    """Splits of these pictures, and where they are from."""
    mapping, partition = path / _MAPPING, path / _PARTITION
    if not (mapping.is_file() and partition.is_file()):
        return split_by_hash(files), "a hash of the file name"
    original = {row[0]: row[2] for row in map(bytes.split, read_table(mapping).splitlines()) if len(row) == 3}
    parts = {row[0]: row[1] for row in map(bytes.split, read_table(partition).splitlines()) if len(row) == 2}
    known = [parts.get(original.get(Path(name).stem.encode(), b"")) for name in files]
    if None in known:
        missing = files[known.index(None)]
        raise VisagistError(f"{mapping.name} or {partition.name} in {path} does not name {missing}: fetch both whole")
    return split_column([part.decode(errors="replace") for part in known if part is not None], partition), "CelebA's own"
