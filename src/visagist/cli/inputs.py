"""Which model, which pictures and videos, and where their results go."""

from __future__ import annotations

import glob
import mimetypes
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from visagist.boundary.ownership import carries_mark, holds_only, refuse_foreign, refuse_inputs, refuse_outside, take_folder
from visagist.boundary.untrusted import refuse_addresses
from visagist.cli.console import tell_terms_once
from visagist.editing.input_files import Input, files_in, matching_files
from visagist.errors import VisagistError
from visagist.photos.formats import PICTURES, VIDEO_SUFFIXES, WRITABLE, output_suffix

if TYPE_CHECKING:
    from visagist.editing.batch import Target
    from visagist.editing.editor import Editor


_SETTING = re.compile(r"[A-Za-z_][\w ]*=[+\-]?[\d.]+")


def model_and_inputs(
    arguments: Sequence[str], recursive: bool = False, out: Path | None = None
) -> tuple[str | None, list[Input]]:
    """Read the model's name, None for the default one, and the files; folders stand for their pictures, but for `out`."""
    from visagist import pretrained

    first = arguments[0]
    path = Path(first).expanduser()
    _refuse_settings(arguments)
    for argument in arguments:
        if not Path(argument).exists():
            refuse_addresses(argument)
    is_model = first.startswith(pretrained.HUB) or bool(pretrained.shipped_folder(first)) or _holds_model(path)
    if not is_model and not path.exists() and not path.suffix and not glob.has_magic(first):
        pretrained.find_model(first)  # neither a picture nor a model: raises, with the nearest names
    given = arguments[is_model:]
    if not given:
        raise VisagistError(f"no picture to edit after the model {first}: name one or more")
    return (first if is_model else None), files_of(given, recursive, out)


def files_of(arguments: Sequence[str], recursive: bool = False, out: Path | None = None) -> list[Input]:
    """The files that are named, each once; folders stand for their pictures, but for those in `out`."""
    unique = {file.path: file for argument in arguments for file in _files(argument, recursive, out)}
    return list(unique.values())


def _refuse_settings(arguments: Sequence[str]) -> None:
    """VisagistError for `Eyeglasses=1` among the files, which a shell's reader takes for one more value of --set."""
    for argument in arguments:
        if _SETTING.fullmatch(argument) and not Path(argument).exists():
            raise VisagistError(f"{argument} is no picture: write --set before each setting, as in --set {argument}")


def refuse_file_name(out: Path) -> None:
    """VisagistError where a folder of results that is not there yet has the name of a file, such as bald.txt."""
    kind = mimetypes.guess_type(out.name)[0]
    if kind is not None and not out.exists():
        pictures = ", ".join(WRITABLE)
        raise VisagistError(
            f"--out {out} has the name of a file, and not of a picture: write one of {pictures}; or name a folder"
        )


def _holds_model(path: Path) -> bool:
    return path.is_dir() and any((path / part).exists() for part in ("config.json", "best", "last"))


def _files(argument: str, recursive: bool, out: Path | None) -> Iterator[Input]:
    path = Path(argument).expanduser()
    if path.is_dir():
        pictures = [p for p in files_in(path, out, recursive=recursive) if p.suffix.lower() in PICTURES]
        if not pictures:
            hint = "" if recursive else ", or add --recursive for those in its folders"
            raise VisagistError(f"{path} holds neither pictures nor a model: name another folder{hint}")
        yield from (Input(p, p.relative_to(path)) for p in pictures)
    elif path.exists():
        yield Input(path, Path(path.name))
    elif glob.has_magic(argument):
        matching = matching_files(argument, out)
        if not matching:
            raise VisagistError(f"nothing matches {argument}: check the pattern")
        yield from (Input(p, Path(p.name)) for p in matching)
    else:
        raise VisagistError(f"there is no picture {path}: check the path")


def targets(
    inputs: Sequence[Input], out: Path, companions: Sequence[str], suffix: str | None = None
) -> tuple[list[Target], bool]:
    """Name the results of each input, and say whether `out` is a folder; `companions` go beside the edited picture.

    `suffix` is that of all results in a folder; without it each has its own input's. VisagistError where two would have
    one name, or an input's.
    """
    from visagist.editing.batch import Target

    is_single = out.suffix.lower() in (*PICTURES, *VIDEO_SUFFIXES) and not out.is_dir()
    if is_single and len(inputs) > 1:
        raise VisagistError(f"{len(inputs)} pictures cannot all go to {out}: give a folder as --out")
    if not is_single:
        refuse_file_name(out)
    if not is_single and out.is_file():
        raise VisagistError(f"{out} is a file, and its name is not a picture's: give a folder or NAME.png as --out")
    named = []
    for given in inputs:
        edited = out if is_single else out / given.name.with_suffix(suffix or output_suffix(given.path.suffix))
        ending = ".png" if edited.suffix.lower() in VIDEO_SUFFIXES else edited.suffix
        beside = {kind: edited.with_name(f"{edited.stem}-{kind}{ending}") for kind in companions}
        named.append(Target(edited, **beside))
    _refuse_collisions(inputs, named)
    return named, not is_single


def _refuse_collisions(inputs: Sequence[Input], targets: Sequence[Target]) -> None:
    paths = [Path(path) for target in targets for path in target.as_json().values()]
    refuse_inputs(paths, (given.path for given in inputs))
    written: set[Path] = set()
    for path in paths:
        if path in written:
            raise VisagistError(f"two pictures would both be written to {path}: edit them one at a time")
        written.add(path)


def check_outputs(
    inputs: Sequence[Input], targets: Sequence[Target], folder: Path | None, table: str | None, sheet: Path | None,
    overwrite: bool,
) -> list[Path]:  # fmt: skip
    """Refuse, before any work, to write over what visagist did not write; return the files that may be replaced.

    A file that --out or --sheet names is replaced where it is visagist's own or with `overwrite`; in a folder of results
    what is visagist's own is, and nothing else. `table` is the list of what was done, where one is kept.
    """
    written = [Path(path) for target in targets for path in target.as_json().values()]
    single = [sheet] if sheet is not None else []
    if folder is None:
        single += written
    else:
        take_folder(folder, () if table is None else (table,), _is_result)
        for path in written:
            refuse_outside(path, folder)
        written_anew = [target for target in targets if table is None or overwrite or not target.is_written]
        for path in (Path(path) for target in written_anew for path in target.as_json().values()):
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


def load_editor(model: str, device: str) -> Editor:
    """The model of a zoo name, a folder or the hub, once the terms of shipped ones are said."""
    from visagist.editing.editor import Editor
    from visagist.pretrained import zoo

    if model in zoo():
        tell_terms_once()
    return Editor.from_pretrained(model, device)
