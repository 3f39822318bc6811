"""Build a pack under a lock in a folder beside the target, and rename it when it is complete."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from visagist.boundary.ownership import Owned, holds_only, list_entries, probe_object, remove_folder
from visagist.data.catalogue import Catalogue
from visagist.data.crops import DECODER, FILTER
from visagist.data.pack_format import (
    FILES,
    FORMAT_VERSION,
    MANIFEST_KEYS,
    PackForm,
    read_manifest,
    read_pack,
    refuse_bad,
    write_pack,
)
from visagist.errors import VisagistError
from visagist.progress import ProgressLike

_log = logging.getLogger(__name__)


def ensure_pack(
    target: Path, catalogue: Catalogue, form: PackForm, *, on_bad: str, progress: ProgressLike, verify: bool = True,
    owned: Owned | None = None,
) -> None:  # fmt: skip
    """Make sure that `target` holds a pack of these pictures: keep one that matches, else build it.

    Raises VisagistError where a picture is bad and `on_bad` is "refuse", where no picture is usable, and where the disk is
    full or read-only; nothing half-written stays. Anything at `target` that is no pack, or not `owned`, is refused first.
    """
    target = target.resolve()  # a link leads to the pack that is replaced
    owned = owned or is_pack
    expected = {
        "format_version": FORMAT_VERSION,
        "source": catalogue.source,
        "fingerprint": catalogue.fingerprint,
        "crop": form.crop,
        "filter": FILTER,
        "decoder": DECODER,
        "image_size": form.image_size,
        "encoding": form.encoding,
        "quality": form.quality,
    }
    if _matches(target, expected, verify):
        return
    _refuse_foreign(target, owned)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target):
            if not _matches(target, expected, verify):
                _refuse_foreign(target, owned)
                _build(target, catalogue, form, expected, on_bad, progress)
    except OSError as error:
        why = error.strerror or str(error)
        raise VisagistError(
            f"cannot write the pack {target}: {why}; make room there or choose another folder (VISAGIST_CACHE)"
        ) from error


def _matches(target: Path, expected: dict[str, Any], verify: bool) -> bool:
    if not (target / "manifest.json").is_file():
        return False
    try:
        manifest = read_manifest(target)
        if any(manifest.get(key) != value for key, value in expected.items()):
            return False
        read_pack(target, verify)
    except VisagistError as error:
        _log.warning("%s (done now)", error)
        return False
    return True


@contextlib.contextmanager
def _lock(target: Path) -> Iterator[None]:
    """Hold the lock of a target until the block ends; the system releases it when the process dies."""
    path = target.parent / f".{target.name}.lock"
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _log.warning("another process is packing %s: waiting for it", target.name)
        lock.acquire()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # a pack that is whole does not fail for its lock
            if not path.stat().st_size:  # a file with a content is not a lock's own
                path.unlink()
        lock.release()


def is_pack(folder: Path) -> bool:
    """Whether a folder holds a pack, whole or damaged, and nothing else."""
    if not holds_only(folder, _part_of(folder)):
        return False
    whole = set(FILES) <= {path.name for path in folder.iterdir()}
    return whole or probe_object(folder / "manifest.json").keys() >= MANIFEST_KEYS


def _refuse_foreign(target: Path, owned: Owned) -> None:
    """Raise VisagistError unless `target` is absent, an empty folder, or a pack that may be replaced."""
    if os.path.lexists(target) and not (target.is_dir() and not list_entries(target)) and not owned(target):
        raise VisagistError(f"{target} is there already and is no pack: name another folder")


def _part_of(*folders: Path) -> Owned:
    return lambda path: path.parent in folders and path.name in FILES and not path.is_symlink()


def _clear(folder: Path) -> None:
    """Delete a build folder; one that holds anything but packs, or cannot be deleted, stays."""
    with contextlib.suppress(VisagistError, OSError):
        remove_folder(folder, _part_of(folder / "new", folder / "old"))


def _build(
    target: Path, catalogue: Catalogue, form: PackForm, expected: dict[str, Any], on_bad: str, progress: ProgressLike
) -> None:
    for leftover in target.parent.glob(f".{target.name}.building-*"):
        _clear(leftover)
    refuse_bad(catalogue.bad, on_bad, catalogue.source)
    _check_room(target.parent, catalogue, form)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.building-", dir=target.parent))
    try:
        folder.chmod(0o755)
        new = folder / "new"
        new.mkdir()
        write_pack(new, catalogue, form, expected, on_bad, progress)
        if target.exists():
            target.rename(folder / "old")
        new.rename(target)
    finally:
        _clear(folder)


def _check_room(folder: Path, catalogue: Catalogue, form: PackForm) -> None:
    """Raise OSError before the decoding where a raw pack does not fit on the disk."""
    needed = len(catalogue.files) * form.image_size**2 * 3 if form.encoding == "raw" else 0
    free = shutil.disk_usage(folder).free
    if needed > free:
        sizes = f"it needs {needed / 2**20:.0f} MiB and {free / 2**20:.0f} MiB are free"
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({sizes})")
