"""CelebA as it is distributed, whole or in part: aligned 178×218 JPEGs and their annotation files.

Source: Liu, Luo, Wang and Tang (2015), "Deep Learning Face Attributes in the Wild". Besides the official `.txt` files
(in the folder itself, or under `Anno/`, `Eval/` and `Img/`) the `.csv` files of the Kaggle copy are read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from visagist.data.catalogue import (
    BadPicture,
    Catalogue,
    fingerprint,
    identity_column,
    label_table,
    read_csv,
    read_table,
    split_column,
)
from visagist.data.crops import ALIGNED_SIZE, is_picture
from visagist.errors import VisagistError

_LONGEST_LINE = 10_000  # bytes; the longest of CelebA has about 500
_FOLDERS = ("", "Anno", "Eval", "Img")
_ARCHIVE = "img_align_celeba.zip"
_POINTS = 5
_MOST_OUTSIDE = 0.01  # of the points of aligned pictures, which all lie inside
_IMAGE_FOLDERS = ("img_align_celeba/img_align_celeba", "img_align_celeba", "img_align_celeba_png")


def read_celeba(path: Path) -> Catalogue:
    """The pictures of a CelebA folder that are there, in the order of split and name.

    Rows whose picture is not there are counted in the facts (a partial copy); pictures without a row are bad.
    Raises VisagistError for a folder without pictures, attributes or partition, and for files that cannot be parsed.
    """
    if not path.is_dir():
        raise VisagistError(f"no folder {path}: give celeba: the folder that holds img_align_celeba")
    folder, pictures = _list_pictures(path)
    attribute_file = _find_required(path, "list_attr_celeba")
    partition_file = _find_required(path, "list_eval_partition")
    identity_file = _find(path, "identity_CelebA")
    landmark_file = _find(path, "list_landmarks_align_celeba")
    annotations = [file for file in (attribute_file, partition_file, identity_file, landmark_file) if file]

    attributes, partition = _read_table(attribute_file), _read_table(partition_file, ("file", "split"))
    names = tuple(attributes.column_names[1:])
    rows, split_rows = _match_rows(pictures, attributes), _match_rows(pictures, partition)
    bad = [
        BadPicture(pictures[i], f"unlabelled: no row in {(attribute_file if rows[i] < 0 else partition_file).name}")
        for i in np.flatnonzero((rows < 0) | (split_rows < 0))
    ]
    usable = np.flatnonzero((rows >= 0) & (split_rows >= 0))
    if len(usable) == 0:
        raise VisagistError(f"no picture of {path} has a row in {attribute_file.name} and {partition_file.name} both")
    split = split_column(partition.column(1).to_pylist(), partition_file)[split_rows[usable]]
    usable = usable[np.argsort(split, kind="stable")]
    files = tuple(pictures[i] for i in usable)
    return Catalogue(
        source=f"celeba:{path.resolve().name}",
        location=str(path.resolve()),
        default_crop="centre148",
        files=files,
        labels=label_table(attributes, names, attribute_file)[rows[usable]],
        names=names,
        split=np.sort(split),
        pictures=lambda: (folder / file for file in files),
        fingerprint=fingerprint(path, (str(file.relative_to(path)) for file in annotations)) + fingerprint(folder, pictures),
        identity=_read_identities(identity_file, files),
        landmarks=_read_landmarks(landmark_file, files),
        bad=tuple(bad),
        facts={"pictures": len(pictures), "annotated_but_absent": attributes.num_rows - int((rows >= 0).sum())},
    ).without_unlabelled("unlabelled: {column} is neither −1/1 nor 0/1")


def _list_pictures(path: Path) -> tuple[Path, list[str]]:
    candidates = [path / folder / images for images in _IMAGE_FOLDERS for folder in _FOLDERS]
    folder = next((candidate for candidate in candidates if candidate.is_dir()), None)
    if folder is None:
        archive = next((path / below / _ARCHIVE for below in _FOLDERS if (path / below / _ARCHIVE).is_file()), None)
        if archive is not None:
            raise VisagistError(f"{archive} is not unpacked: unpack it there, which makes the folder img_align_celeba")
        raise VisagistError(f"{path} has no folder img_align_celeba: give celeba: the folder that holds it")
    names = sorted(name for name in os.listdir(folder) if is_picture(name))
    if not names:
        raise VisagistError(f"{folder} holds no picture: put the aligned JPEGs of CelebA there")
    return folder, names


def _find(path: Path, stem: str) -> Path | None:
    candidates = [path / folder / (stem + suffix) for suffix in (".txt", ".csv") for folder in _FOLDERS]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _find_required(path: Path, stem: str) -> Path:
    file = _find(path, stem)
    if file is None:
        raise VisagistError(f"{path} has no {stem}.txt: put CelebA's annotation files beside img_align_celeba")
    return file


def _read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """An annotation file as strings, the file name first; official files have a count, names, and runs of spaces."""
    if path.suffix == ".csv":
        return read_csv(path)
    try:
        data = read_table(path)
    except OSError as error:
        raise VisagistError(f"cannot read {path}: {error.strerror or error}") from error
    rows = data.splitlines()
    if rows and max(map(len, rows)) > _LONGEST_LINE:
        raise VisagistError(f"{path} is not CelebA's: it has a line of more than {_LONGEST_LINE} bytes")
    lines = [b",".join(line.split()) for line in rows]
    if columns is None:
        if len(lines) < 3 or not lines[0].isdigit():
            raise VisagistError(f"{path} is not CelebA's: that begins with the number of rows and the names")
        lines[:2] = [b"file," + lines[1]]
    return read_csv(path, columns, b"\n".join(lines))


def _match_rows(pictures: Sequence[str], table: pa.Table) -> NDArray[np.int64]:
    """The row of each picture in a table, or −1; by stem, since the PNG copy keeps the names of the JPEGs."""
    known = {name.rpartition(".")[0]: row for row, name in enumerate(table.column(0).to_pylist())}
    return np.array([known.get(picture.rpartition(".")[0], -1) for picture in pictures], dtype=np.int64)


def _read_identities(path: Path | None, files: Sequence[str]) -> NDArray[np.int64] | None:
    if path is None:
        return None
    table = _read_table(path, ("file", "identity"))
    return np.append(identity_column(table.column(1).to_pylist()), -1)[_match_rows(files, table)]


def _read_landmarks(path: Path | None, files: Sequence[str]) -> NDArray[np.float32] | None:
    """Eyes, nose and corners of the mouth [N, 5, 2] in pixels of the whole picture; NaN where a row is missing."""
    if path is None:
        return None
    table = _read_table(path)
    try:
        values = np.stack([column.cast(pa.float32()).to_numpy() for column in table.columns[1:]], axis=1)
    except pa.ArrowInvalid as error:
        raise VisagistError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    if values.shape[1] != 2 * _POINTS:
        raise VisagistError(f"{path} has {values.shape[1]} numbers a picture, not {2 * _POINTS}: fetch it again")
    outside = ((values < 0) | (values >= np.tile(ALIGNED_SIZE, _POINTS))).mean()
    if outside > _MOST_OUTSIDE:
        raise VisagistError(
            f"{outside:.0%} of the points of {path} lie outside pictures of {ALIGNED_SIZE[0]}×{ALIGNED_SIZE[1]} pixels, as "
            "those of the pictures in the wild do: put list_landmarks_align_celeba.txt of the aligned ones there"
        )
    points = np.append(values, np.full((1, values.shape[1]), np.nan), axis=0)[_match_rows(files, table)]
    return points.reshape(len(files), -1, 2).astype(np.float32)
