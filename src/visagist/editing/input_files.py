"""Which files a run takes for its inputs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def without_results(paths: Iterable[Path], given: Path, out: Path | None) -> list[Path]:
    """Paths that a folder or a pattern, `given`, stands for, without those in the folder `out` of a run's own results.

    Who gives that very folder, or one inside it, means what is in it.
    """
    if out is None or out.is_file() or given.resolve().is_relative_to(out.resolve()):
        return list(paths)
    results = out.resolve()
    return [path for path in paths if not path.resolve().is_relative_to(results)]
