"""Inspect data before training: counts, label balance, bad and duplicate pictures, a sample sheet."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from visagist.attributes import check_set
from visagist.boundary.ownership import NAMESPACE, allow_replacing, refuse_foreign, refuse_source
from visagist.boundary.terminal import escape_controls
from visagist.data.balance import NEGATIVES, balance_to_set
from visagist.data.catalogue import BadPicture
from visagist.data.faces import SPLITS, Faces, split_counts
from visagist.data.layouts.known_sets import describe_gap
from visagist.data.sources import open_data
from visagist.errors import VisagistError
from visagist.files import write_file
from visagist.progress import ProgressLike

_GAP = 2
_SHOWN = 10
_REMEDY = "choose another place, or add --overwrite"


@dataclass(frozen=True)
class LabelBalance:
    """How many faces have an attribute: in all, as a share of all, and by split."""

    attribute: str
    positive: int
    share: float
    by_split: dict[str, float | None]


@dataclass(frozen=True)
class Inspection:
    """What `visagist data check` prints.

    counts               faces by split
    balance              one entry an attribute
    bad                  every picture left out, and why
    identities           people, None where the source does not know who is who
    shared_identities    people who are in more than one split
    duplicates           groups of files whose faces are the same to the pixel
    shared_duplicates    those groups that reach over more than one split
    warnings             what makes training or its measurement doubtful, one sentence each
    manifest             of the pack
    attribute_set        what training on a named set would keep of the training split, None where none was named
    """

    source: str
    image_size: int
    count: int
    counts: dict[str, int]
    balance: tuple[LabelBalance, ...]
    bad: tuple[BadPicture, ...]
    identities: int | None
    shared_identities: int
    duplicates: tuple[tuple[str, ...], ...]
    shared_duplicates: int
    warnings: tuple[str, ...]
    manifest: dict[str, Any]
    attribute_set: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as plain values, bad pictures as {file, reason}."""
        return asdict(self) | {"bad": [bad._asdict() for bad in self.bad]}


def inspect_data(
    source: str,
    *,
    image_size: int = 64,
    crop: str | None = None,
    attributes: Sequence[str] | None = None,
    attribute_set: str | None = None,
    negatives: float = NEGATIVES,
    balance_seed: int = 0,
    on_bad: str = "skip",
    cache: Path | None = None,
    progress: ProgressLike = False,
    sheet: Path | None = None,
    overwrite: bool = False,
    **options: Any,
) -> Inspection:
    """Read a source through its pack, every byte of which is verified, and report on it; parameters as `load_data`.

    With `sheet` a sample sheet of the faces is written there, with `overwrite` over any file but one of the source. With
    `attribute_set` the report is on its attributes, and says what training on it with these `negatives` and this
    `balance_seed` would keep.
    """
    if attribute_set is not None:
        if attributes is not None:
            raise VisagistError(f"the set {attribute_set} names its attributes: leave attributes out, or the set")
        attributes = check_set(attribute_set)
    if sheet is not None:
        _check_sheet(sheet.expanduser(), source, overwrite)
    faces, bad = open_data(
        source, image_size=image_size, crop=crop, attributes=attributes, on_bad=on_bad, cache=cache, progress=progress,
        verify=True, **options,
    )  # fmt: skip
    if attributes is not None:
        faces = faces.with_attributes(attributes)
    if sheet is not None:
        write_sample_sheet(faces, sheet, overwrite=overwrite)
    report = inspect_faces(faces, bad)
    if attribute_set is None:
        return report
    return replace(report, attribute_set=balance_to_set(faces, attribute_set, negatives, balance_seed).manifest["balance"])


def _check_sheet(sheet: Path, source: str, overwrite: bool) -> None:
    """VisagistError where a sheet would go over a file of the source, or, without `overwrite`, over anybody's."""
    refuse_source(sheet, source)
    with allow_replacing(*[sheet] * overwrite):
        refuse_foreign(sheet, _REMEDY)


def inspect_faces(faces: Faces, bad: Sequence[BadPicture] = ()) -> Inspection:
    """Report on faces that are loaded already."""
    groups = _find_duplicates(faces)
    counts = split_counts(faces.split)
    people = None if faces.identity is None else np.unique(faces.identity[faces.identity >= 0])
    balance = tuple(_measure_balance(faces, column) for column in range(len(faces.names)))
    report = Inspection(
        source=str(faces.manifest.get("source", "faces")),
        image_size=faces.image_size,
        count=len(faces),
        counts=counts,
        balance=balance,
        bad=tuple(bad),
        identities=None if people is None else len(people),
        shared_identities=_count_shared_identities(faces),
        duplicates=tuple(tuple(faces.files[row] for row in group) for group in groups),
        shared_duplicates=sum(len(set(faces.split[group].tolist())) > 1 for group in groups),
        warnings=(),
        manifest=faces.manifest,
    )
    return replace(report, warnings=tuple(_list_warnings(report)))


def render_inspection(report: Inspection) -> RenderableType:
    """The report as tables for a rich console."""
    title = _plain_text(f"{report.source}: {report.count} faces of {report.image_size} pixels", "bold")
    summary = Table()
    for name in ("split", "faces", "share"):
        summary.add_column(name, justify="left" if name == "split" else "right")
    for name, count in report.counts.items():
        summary.add_row(name, str(count), f"{count / report.count:.1%}")
    balance = Table()
    balance.add_column("share of faces that have")
    for name in ("all", *report.counts):
        balance.add_column(name, justify="right")
    for row in report.balance:
        by_split = ["–" if share is None else f"{share:.1%}" for share in row.by_split.values()]
        balance.add_row(row.attribute, f"{row.share:.1%}", *by_split)
    kept = [] if report.attribute_set is None else [_describe_set(report.attribute_set)]
    rules = [f"{name} is derived: {rule}" for name, rule in report.manifest.get("derived", {}).items()]
    people = "unknown" if report.identities is None else str(report.identities)
    lines = [f"identities: {people} · double pictures: {len(report.duplicates)} groups · left out: {len(report.bad)}"]
    lines += [f"  {file}: {reason}" for file, reason in report.bad[:_SHOWN]]
    lines += [f"  … and {len(report.bad) - _SHOWN} more"] * (len(report.bad) > _SHOWN)
    lines += rules + kept
    notes = [
        *(_plain_text(line) for line in lines),
        *(_plain_text(f"! {warning}", "yellow") for warning in report.warnings),
    ]
    return Group(title, summary, balance, *notes)


def _plain_text(text: str, style: str = "") -> Text:
    return Text(escape_controls(text), style=style)


def _describe_set(kept: dict[str, Any]) -> str:
    return (
        f"training on {kept['attribute_set']}: {kept['count']} faces, {kept['with']} with {' or '.join(kept['attributes'])} "
        f"and {kept['without']} of the {kept['without_in_source']} without"
    )


def write_sample_sheet(
    faces: Faces, path: Path | str, n: int = 64, attribute: str | None = None, columns: int = 16, *, overwrite: bool = False
) -> Path:
    """Write `n` faces, evenly spaced over the set, as one picture, and return its path.

    With an attribute the upper half of the rows has it and the lower half lacks it. The suffix of the path chooses the
    format. Raises VisagistError for an unknown suffix, a path that cannot be written, and, without `overwrite`, a path
    where a file exists that visagist did not write; then nothing is written.
    """
    path = Path(path).expanduser()
    if n < 1 or columns < 1:
        raise VisagistError(f"a sheet of {n} faces in {columns} columns is empty: ask for at least one of each")
    if path.suffix.lower() not in Image.registered_extensions():
        raise VisagistError(f"{path} does not end in a picture's suffix: write for instance {path.stem or 'sheet'}.png")
    if attribute is None:
        halves = [_space_evenly(np.arange(len(faces)), n)]
    else:
        has = faces.column(attribute) == 1
        halves = [_space_evenly(np.flatnonzero(has), (n + 1) // 2), _space_evenly(np.flatnonzero(~has), n // 2)]
    sheet = Image.fromarray(np.concatenate([_make_grid(faces, rows, columns) for rows in halves if len(rows)]))
    encoded = io.BytesIO()
    says = PngInfo()
    says.add_text("Source", f"a sheet of samples, {NAMESPACE}")
    sheet.save(encoded, Image.registered_extensions()[path.suffix.lower()], pnginfo=says)
    with allow_replacing(*[path] * overwrite):
        write_file(path, encoded.getvalue(), remedy=_REMEDY)
    return path


def _measure_balance(faces: Faces, column: int) -> LabelBalance:
    labels = faces.labels[:, column]
    parts = {name: labels[faces.split == number] for number, name in enumerate(SPLITS)}
    by_split = {name: float(part.mean()) if len(part) else None for name, part in parts.items()}
    return LabelBalance(faces.names[column], int(labels.sum()), float(labels.mean()), by_split)


def _count_shared_identities(faces: Faces) -> int:
    if faces.identity is None:
        return 0
    pairs = np.unique(np.stack([faces.identity, faces.split.astype(np.int64)])[:, faces.identity >= 0], axis=1)
    return int((np.unique(pairs[0], return_counts=True)[1] > 1).sum())


def _find_duplicates(faces: Faces) -> list[list[int]]:
    groups: dict[bytes, list[int]] = {}
    for row, image in enumerate(faces.images):
        groups.setdefault(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), []).append(row)
    return [group for group in groups.values() if len(group) > 1]


def _list_warnings(report: Inspection) -> list[str]:
    warnings = [f"the {name} split is empty" for name, count in report.counts.items() if count == 0]
    warnings += [f"{row.attribute}: all faces are of one class" for row in report.balance if row.share in (0, 1)]
    warnings += [
        f"{row.attribute}: only {min(row.positive, report.count - row.positive)} faces of the smaller class"
        for row in report.balance
        if 0 < min(row.positive, report.count - row.positive) < 50
    ]
    if report.shared_identities:
        warnings.append(f"{report.shared_identities} people are in more than one split: test scores will flatter")
    if report.shared_duplicates:
        warnings.append(f"{report.shared_duplicates} pictures are in more than one split: test scores will flatter")
    if report.bad:
        warnings.append(f"{len(report.bad)} pictures are left out")
    gap = describe_gap(report.source, report.count + len(report.bad))
    return warnings if gap is None else [*warnings, gap]


def _space_evenly(rows: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """At most `n` of these rows, evenly spaced."""
    return rows if len(rows) <= n else rows[np.linspace(0, len(rows) - 1, n).round().astype(np.int64)]


def _make_grid(faces: Faces, rows: NDArray[np.int64], columns: int) -> NDArray[np.uint8]:
    """Faces [n, S, S, 3] as one white-edged picture of `columns` faces a line."""
    size = faces.image_size + _GAP
    lines = -(-len(rows) // columns)
    sheet = np.full((lines * size, columns * size, 3), 255, dtype=np.uint8)
    for cell, row in enumerate(rows):
        top, left = cell // columns * size, cell % columns * size
        sheet[top : top + faces.image_size, left : left + faces.image_size] = faces.images[row]
    return sheet
