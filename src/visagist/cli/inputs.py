"""Which model, which pictures and videos, and where their results go."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from visagist.boundary.ownership import carries_mark, holds_only, refuse_foreign, refuse_inputs, refuse_outside, take_folder
from visagist.boundary.untrusted import list_files, refuse_addresses
from visagist.editing.input_files import without_results
from visagist.errors import VisagistError
from visagist.photos.formats import PICTURES, VIDEO_SUFFIXES, output_suffix


@dataclass(frozen=True)
class Input:
    """A file to edit, and the name of its result in a folder of results."""

    path: Path
    name: Path


@dataclass(frozen=True)
class Target:
    """Where the pictures of one input go; None where they are not asked for."""

    edited: Path
    strip: Path | None = None
    grid: Path | None = None
    residual: Path | None = None
    heat: Path | None = None

    def as_json(self) -> dict[str, str]:
        return {name: str(path) for name, path in vars(self).items() if path is not None}


def model_and_inputs(
    arguments: Sequence[str], recursive: bool = False, out: Path | None = None
) -> tuple[str | None, list[Input]]:
    """The model's name, None for the default one, and the files; folders stand for the pictures in them, but for `out`."""
    from visagist import pretrained

    first = arguments[0]
    path = Path(first).expanduser()
    for argument in arguments:
        if not Path(argument).exists():
            refuse_addresses(argument)
    is_model = first.startswith(pretrained.HUB) or bool(pretrained.shipped_folder(first)) or _holds_model(path)
    if not is_model and not path.exists() and not path.suffix and not glob.has_magic(first):
        pretrained.find_model(first)  # neither a picture nor a model: raises, with the nearest names
    given = arguments[is_model:]
    if not given:
        raise VisagistError(f"no picture to edit after the model {first}: name one or more")
    found = [one for argument in given for one in _files(argument, recursive, out)]
    unique = {one.path: one for one in found}
    return (first if is_model else None), list(unique.values())


def _holds_model(path: Path) -> bool:
    return path.is_dir() and any((path / part).exists() for part in ("config.json", "best", "last"))


def _files(argument: str, recursive: bool, out: Path | None) -> Iterator[Input]:
    path = Path(argument).expanduser()
    if path.is_dir():
        # Pipes and dangling links are told of as pictures that cannot be read.
        inside = without_results(list_files(path, recursive), path, out)
        pictures = [p for p in inside if p.suffix.lower() in PICTURES and not p.name.startswith(".")]
        if not pictures:
            hint = "" if recursive else ", or add --recursive for those in its folders"
            raise VisagistError(f"{path} holds neither pictures nor a model: name another folder{hint}")
        yield from (Input(p, p.relative_to(path)) for p in pictures)
    elif path.exists():
        yield Input(path, Path(path.name))
    elif glob.has_magic(argument):
        matched = map(Path, sorted(glob.glob(str(path), recursive=True)))
        matching = [p for p in without_results(matched, path, out) if p.is_file()]
        if not matching:
            raise VisagistError(f"nothing matches {argument}: check the pattern")
        yield from (Input(p, Path(p.name)) for p in matching)
    else:
        raise VisagistError(f"there is no picture {path}: check the path")


def targets(
    inputs: Sequence[Input], out: Path, beside: Sequence[str], suffix: str | None = None
) -> tuple[list[Target], bool]:
    """Where everything goes, and whether that is a folder; `beside` names what goes beside the edited picture.

    `suffix` is that of all results in a folder; without it each has its own input's. VisagistError where two would go to
    one place, or over an input.
    """
    one = out.suffix.lower() in (*PICTURES, *VIDEO_SUFFIXES) and not out.is_dir()
    if one and len(inputs) > 1:
        raise VisagistError(f"{len(inputs)} pictures cannot all go to {out}: give a folder as --out")
    if not one and out.is_file():
        raise VisagistError(f"{out} is a file, and its name is not a picture's: give a folder or NAME.png as --out")
    found = []
    for given in inputs:
        edited = out if one else out / given.name.with_suffix(suffix or output_suffix(given.path.suffix))
        ending = ".png" if edited.suffix.lower() in VIDEO_SUFFIXES else edited.suffix
        extra = {what: edited.with_name(f"{edited.stem}-{what}{ending}") for what in beside}
        found.append(Target(edited, **extra))
    _refuse_collisions(inputs, found)
    return found, not one


def _refuse_collisions(inputs: Sequence[Input], found: Sequence[Target]) -> None:
    places = [Path(place) for target in found for place in target.as_json().values()]
    refuse_inputs(places, (given.path for given in inputs))
    written: set[Path] = set()
    for place in places:
        if place in written:
            raise VisagistError(f"two pictures would both be written to {place}: edit them one at a time")
        written.add(place)


def check_outputs(
    inputs: Sequence[Input], places: Sequence[Target], folder: Path | None, table: str | None, sheet: Path | None,
    overwrite: bool,
) -> list[Path]:  # fmt: skip
    """Refuse, before any work, to write over what visagist did not; the files that may be replaced as a person named them.

    A file that --out or --sheet names is replaced where it is visagist's own or with `overwrite`; in a folder of results
    what is visagist's own is, and nothing else. `table` is the list of what was done, where one is kept.
    """
    written = [Path(path) for target in places for path in target.as_json().values()]
    single = [sheet] if sheet is not None else []
    if folder is None:
        single += written
    else:
        take_folder(folder, () if table is None else (table,), _is_result)
        for path in written:
            refuse_outside(path, folder)
        there = [target for target in places if table is None or overwrite or not target.edited.exists()]
        for path in (Path(path) for target in there for path in target.as_json().values()):
            refuse_foreign(path)
    if sheet is not None:
        refuse_inputs([sheet], [*written, *([] if folder is None or table is None else [folder / table])])
    refuse_inputs(single, (given.path for given in inputs))
    if overwrite:
        return single
    for path in single:
        refuse_foreign(path, "choose another place, or add --overwrite")
    return []


def _is_result(path: Path) -> bool:
    """Whether a file, or all in a folder, is what visagist edited."""
    return carries_mark(path) or holds_only(path, carries_mark)
