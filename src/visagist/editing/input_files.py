"""Which files a run takes as its inputs: files, what lies in folders, what matches patterns; never the run's own results."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from visagist.boundary.untrusted import list_files


@dataclass(frozen=True)
class Input:
    """A file to edit, and the name of its result in a folder of results."""

    path: Path
    name: Path


def files_in(folder: Path, out: Path | None, *, recursive: bool = True) -> list[Path]:
    """List the files of a folder, without hidden ones and without the results in `out`.

    Pipes and dangling links are listed: whoever reads them says that they cannot be read.
    """
    files = without_results(list_files(folder, recursive), folder, out)
    return [path for path in files if not path.name.startswith(".")]


def matching_files(pattern: str, out: Path | None) -> list[Path]:
    """List the files that match a pattern such as `photos/*.jpg`, sorted, without the results in `out`."""
    path = Path(pattern).expanduser()
    matching = map(Path, sorted(glob.glob(str(path), recursive=True))) if glob.has_magic(pattern) else []
    return [path for path in without_results(matching, path, out) if path.is_file()]


def without_results(paths: Iterable[Path], given: Path, out: Path | None) -> list[Path]:
    """Leave out of `paths`, which the folder or pattern `given` stands for, those in the folder `out` of results.

    Where `given` is that folder or lies in it, all are kept.
    """
    if out is None or out.is_file() or given.resolve().is_relative_to(out.resolve()):
        return list(paths)
    results = out.resolve()
    return [path for path in paths if not path.resolve().is_relative_to(results)]
