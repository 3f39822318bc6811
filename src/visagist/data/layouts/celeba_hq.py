"""CelebA-HQ: 30 000 pictures of CelebA made anew at 1024×1024, with CelebA's labels.

Pictures lie in `CelebA-HQ-img`, or in the folder itself. They are called by their number in CelebA-HQ (`0.jpg`, `00000.png`,
`imgHQ00000.png`), which `CelebA-HQ-to-CelebA-mapping.txt` or `image_list.txt` leads to CelebA's, or by CelebA's own name
(`000004.jpg`, six digits) where neither lies there. Labels, split and people are those of CelebA's `list_attr_celeba.txt`,
`list_eval_partition.txt` and `identity_CelebA.txt`, which must lie beside but for the last.

Source: Karras, Aila, Laine and Lehtinen (2018), "Progressive Growing of GANs for Improved Quality, Stability, and
Variation".
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from visagist.boundary.untrusted import list_files
from visagist.data.catalogue import BadPicture, Catalogue, fingerprint, label_table, read_csv, read_table, split_column
from visagist.data.catalogue import identity_column as number_people
from visagist.data.crops import is_picture
from visagist.data.layouts.high_quality import CELEBAMASK_FILE, read_celebamask_hq
from visagist.errors import VisagistError

MAPPINGS = ("CelebA-HQ-to-CelebA-mapping.txt", "image_list.txt")
ATTRIBUTES, PARTITION, PEOPLE = "list_attr_celeba.txt", "list_eval_partition.txt", "identity_CelebA.txt"
_NUMBERED = re.compile(r"(?:imgHQ)?(\d+)")
_SPLITS = "train, val and test are then CelebA's: 24,183, 2,993 and 2,824 pictures"


def read_celeba_hq(path: Path) -> Catalogue:
    """The pictures of CelebA-HQ that are there; a folder of CelebAMask-HQ is read as that.

    Pictures that are not known by number or name are bad. VisagistError where CelebA's files are not beside, and where none
    is known.
    """
    if (path / CELEBAMASK_FILE).is_file():
        return read_celebamask_hq(path)
    if not path.is_dir():
        raise VisagistError(f"no folder {path}: give celeba-hq: the folder of the pictures or of CelebA-HQ-img")
    for name in (ATTRIBUTES, PARTITION):
        if not (path / name).is_file():
            raise VisagistError(f"{path} has no {name}: put CelebA's beside the pictures; {_SPLITS}")
    folder = path / "CelebA-HQ-img" if (path / "CelebA-HQ-img").is_dir() else path
    pictures = sorted(file.name for file in list_files(folder, recursive=False) if is_picture(file.name))
    if not pictures:
        raise VisagistError(f"{folder} holds no picture: put those of CelebA-HQ there")
    mapping = next((path / name for name in MAPPINGS if (path / name).is_file()), None)
    original = {} if mapping is None else _read_mapping(mapping)
    names, labels = _read_attributes(path / ATTRIBUTES)
    parts = _read_pairs(path / PARTITION)
    people = _read_pairs(path / PEOPLE) if (path / PEOPLE).is_file() else None
    meant = {picture: _original(picture, original, mapping is not None) for picture in pictures}
    files = [picture for picture in pictures if meant[picture] in labels and meant[picture] in parts]
    if not files:
        hint = "" if mapping is not None else f", and {MAPPINGS[0]} is not there"
        raise VisagistError(f"no picture in {folder} is known as one of CelebA-HQ, such as {pictures[0]}{hint}")
    split = split_column([parts[meant[file]] for file in files], path / PARTITION)
    order = np.argsort(split, kind="stable").tolist()
    ordered, known = [files[i] for i in order], set(files)
    annotations = [file for file in (*MAPPINGS, ATTRIBUTES, PARTITION, PEOPLE) if (path / file).is_file()]
    return Catalogue(
        source=f"celeba-hq:{path.resolve().name}",
        location=str(path.resolve()),
        default_crop="square",
        files=tuple(ordered),
        labels=np.stack([labels[meant[file]] for file in ordered]),
        names=names,
        split=split[order],
        pictures=lambda: (folder / file for file in ordered),
        fingerprint=fingerprint(path, annotations) + fingerprint(folder, ordered),
        identity=None if people is None else number_people([people.get(meant[file]) for file in ordered]),
        bad=tuple(
            BadPicture(file, f"{meant[file] or file} is not in {ATTRIBUTES}") for file in pictures if file not in known
        ),
        facts={"numbered_by": "CelebA's names" if mapping is None else mapping.name},
    ).without_unlabelled("unlabelled: {column} is neither −1/1 nor 0/1")


def _original(picture: str, original: dict[int, str], mapped: bool) -> str:
    """CelebA's name of a picture; empty where it is not known."""
    match = _NUMBERED.fullmatch(Path(picture).stem)
    if match is None:
        return ""
    return original.get(int(match[1]), "") if mapped else f"{int(match[1]):06d}.jpg"


def _read_mapping(path: Path) -> dict[int, str]:
    rows = [line.decode(errors="replace").split() for line in read_table(path).splitlines()[1:] if line.strip()]
    damaged = next((row for row in rows if len(row) < 3 or not row[0].isdecimal() or not row[2].endswith(".jpg")), None)
    if not rows or damaged is not None:
        raise VisagistError(f"{path} is damaged: its rows are a number, CelebA's number and CelebA's name; fetch it again")
    return {int(row[0]): row[2] for row in rows}


def _read_attributes(path: Path) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    lines = [b",".join(line.split()) for line in read_table(path).splitlines()]
    if len(lines) < 3 or not lines[0].isdigit():
        raise VisagistError(f"{path} is damaged: it begins with the number of rows and the names; fetch it again")
    table = read_csv(path, None, b"\n".join([b"file," + lines[1], *lines[2:]]))
    names = tuple(table.column_names[1:])
    return names, dict(zip(map(str, table.column(0).to_pylist()), label_table(table, names, path)))


def _read_pairs(path: Path) -> dict[str, str]:
    rows = [line.decode(errors="replace").split() for line in read_table(path).splitlines() if line.strip()]
    if any(len(row) != 2 for row in rows):
        raise VisagistError(f"{path} is damaged: its rows are a file and a number; fetch it again")
    return {row[0]: row[1] for row in rows}
