"""Labeled Faces in the Wild as it is distributed: a folder a person, `NAME/NAME_0001.jpg`, 250×250 pixels.

`lfw`, `lfw_funneled` and `lfw-deepfunneled` are the three alignments of the same pictures. The set itself labels nobody. Its
attributes are those of Kumar, Berg, Belhumeur and Nayar (2009), `lfw_attributes.txt` beside the folder: scores of
classifiers, whose sign is taken as the label. The split is that of `peopleDevTrain.txt` and `peopleDevTest.txt` where these
lie beside, a tenth of the training people to validate; else it is drawn by the people.

Source: Huang, Ramesh, Berg and Learned-Miller (2007), "Labeled Faces in the Wild".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.boundary.untrusted import list_files
from visagist.data.catalogue import BadPicture, Catalogue, fingerprint, read_table, split_by_hash
from visagist.data.crops import is_picture
from visagist.errors import VisagistError

ALIGNMENTS = ("lfw-deepfunneled", "lfw_funneled", "lfw")
ATTRIBUTES = "lfw_attributes.txt"
PEOPLE = ("peopleDevTrain.txt", "peopleDevTest.txt")
_ARCHIVES = ("lfw.tgz", "lfw-funneled.tgz", "lfw-deepfunneled.tgz")
_NAME = re.compile(r"(?P<person>.+)_(?P<number>\d{4})\.\w+")


def read_lfw(path: Path) -> Catalogue:
    """The pictures of a folder of people, or of the folder above it, in the order of split and name.

    Pictures that are not called after their folder, or that the file of attributes does not name, are bad. VisagistError
    where there is no such picture, and for a damaged file of attributes or of people.
    """
    folder = _find_folder(path)
    names = sorted(file.relative_to(folder).as_posix() for file in list_files(folder) if is_picture(file.name))
    known = {name: key for name in names if (key := _key_of(name)) is not None}
    if not known:
        raise VisagistError(
            f"{folder} holds no picture of LFW, such as Ann_Veneman/Ann_Veneman_0001.jpg: give lfw: the folder that holds "
            f"{ALIGNMENTS[0]}, or that folder"
        )
    bad = [BadPicture(name, "not called after its folder, as NAME/NAME_0001.jpg") for name in names if name not in known]
    attributes, rows = _read_attributes(_beside(folder, ATTRIBUTES))
    files = [name for name in known if not attributes or known[name] in rows]
    bad += [BadPicture(name, f"unlabelled: no row in {ATTRIBUTES}") for name in known if name not in set(files)]
    if not files:
        raise VisagistError(f"none of the {len(known)} pictures in {folder} has a row in {ATTRIBUTES}: fetch it again")
    people = sorted({known[name][0] for name in files})
    split, by = _split(folder, [known[name][0] for name in files])
    order = sorted(range(len(files)), key=lambda i: (split[i], files[i]))
    ordered, number_of = [files[i] for i in order], {person: number for number, person in enumerate(people)}
    beside = [file for name in (ATTRIBUTES, *PEOPLE) if (file := _beside(folder, name)) is not None]
    return Catalogue(
        source=f"lfw:{folder.resolve().name}",
        location=str(folder.resolve()),
        default_crop="square",
        files=tuple(ordered),
        labels=np.array([rows[known[name]] if attributes else [] for name in ordered], np.uint8).reshape(len(files), -1),
        names=attributes,
        split=split[order],
        pictures=lambda: (folder / name for name in ordered),
        fingerprint=fingerprint(folder, names) + "".join(fingerprint(file.parent, [file.name]) for file in beside),
        identity=np.array([number_of[known[name][0]] for name in ordered], np.int64),
        bad=tuple(bad),
        facts={"people": len(people), "annotated_but_absent": max(0, len(rows) - len(files)), "split_by": by},
    )


def _find_folder(path: Path) -> Path:
    if path.is_file():
        raise VisagistError(f"{path} is a file: unpack LFW's archive, and give lfw: the folder that it makes")
    if not path.is_dir():
        raise VisagistError(f"no folder {path}: give lfw: the folder that holds {ALIGNMENTS[0]}")
    folder = next((path / name for name in ALIGNMENTS if (path / name).is_dir()), path)
    packed = next((name for name in _ARCHIVES if (path / name).is_file()), None)
    if folder == path and packed is not None:
        raise VisagistError(f"{path / packed} is not unpacked: unpack it there, and give lfw:{path}")
    return folder


def _beside(folder: Path, name: str) -> Path | None:
    """A file of annotations in the folder, or in that above it."""
    return next((file for file in (folder / name, folder.parent / name) if file.is_file()), None)


def _key_of(name: str) -> tuple[str, int] | None:
    """The person and the number of a picture; None where it is not called after its folder."""
    parts = name.split("/")
    match = _NAME.fullmatch(parts[-1])
    if match is None or len(parts) != 2 or match["person"] != parts[0]:
        return None
    return parts[0], int(match["number"])


def _read_attributes(path: Path | None) -> tuple[tuple[str, ...], dict[tuple[str, int], list[int]]]:
    """The names of the attributes, with `_` for blanks, and the labels of each picture; none without a file."""
    if path is None:
        return (), {}
    lines = [line.split("\t") for line in read_table(path).decode("utf-8", errors="replace").splitlines()]
    head = next((i for i, line in enumerate(lines[:10]) if line[0].startswith("#") and "person" in line), None)
    if head is None or lines[head][1:3] != ["person", "imagenum"]:
        raise VisagistError(f"{path} is damaged: its head names person, imagenum and the attributes; fetch it again")
    names = tuple(re.sub(r"\W+", "_", name.strip()) for name in lines[head][3:])
    rows: dict[tuple[str, int], list[int]] = {}
    for number, line in enumerate(lines[head + 1 :], head + 2):
        try:
            key, scores = (line[0].replace(" ", "_"), int(line[1])), [float(cell) for cell in line[2:]]
        except (ValueError, IndexError) as error:
            raise VisagistError(f"line {number} of {path} is no row of scores ({error}): fetch it again") from error
        if len(scores) != len(names):
            raise VisagistError(f"line {number} of {path} has {len(scores)} scores, not {len(names)}: fetch it again")
        rows[key] = [int(score > 0) for score in scores]
    return names, rows


def _split(folder: Path, people: Sequence[str]) -> tuple[NDArray[np.uint8], str]:
    """The split [N] of pictures of these people, and what says so."""
    files = [_beside(folder, name) for name in PEOPLE]
    if files[0] is None or files[1] is None:
        return split_by_hash(people), "a hash of the identity"
    sides = [_read_people(file) for file in files if file is not None]
    numbers = {person: number for person, number in zip(sorted(set(people)), split_by_hash(sorted(set(people))))}
    unknown = sorted({person for person in people if person not in sides[0] and person not in sides[1]})
    if unknown:
        raise VisagistError(f"neither {PEOPLE[0]} nor {PEOPLE[1]} names {unknown[0]}: fetch both again, or take them away")
    drawn = [2 if person in sides[1] else int(numbers[person] == 1) for person in people]
    return np.array(drawn, np.uint8), "the source, and a tenth of its training people validates"


def _read_people(path: Path) -> set[str]:
    lines = read_table(path).decode("utf-8", errors="replace").split("\n")
    people = {line.split("\t")[0].strip() for line in lines[1:] if line.strip()}
    if not lines[0].strip().isdecimal() or len(people) != int(lines[0]):
        raise VisagistError(f"{path} is damaged: it begins with how many people it names, and names {len(people)}")
    return people
