"""Build a pack once: in a folder of its own beside the target, under a lock, renamed into place when it is whole."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from visagist.data.catalogue import Catalogue
from visagist.data.crops import DECODER, FILTER
from visagist.data.packed import FORMAT_VERSION, Form, read_manifest, read_pack, refuse_bad, write_pack
from visagist.errors import VisagistError

if sys.platform != "win32":
    import fcntl

_log = logging.getLogger(__name__)


def ensure_pack(
    target: Path, catalogue: Catalogue, form: Form, *, on_bad: str, progress: bool, verify: bool = True
) -> None:
    """Leave at `target` a pack of these pictures: the one that is there if it matches, else a new one.

    Raises VisagistError where a picture is bad and `on_bad` is "refuse", where nothing is left, and where the
    disk is full or read-only; then nothing half-written stays.
    """
    wanted = {
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
    if _matches(target, wanted, verify):
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target):
            if not _matches(target, wanted, verify):
                _build(target, catalogue, form, wanted, on_bad, progress)
    except OSError as error:
        why = error.strerror or str(error)
        raise VisagistError(
            f"cannot write the pack {target}: {why}; make room there or choose another folder (VISAGIST_CACHE)"
        ) from error


def _matches(target: Path, wanted: dict[str, Any], verify: bool) -> bool:
    if not (target / "manifest.json").is_file():
        return False
    try:
        manifest = read_manifest(target)
        if any(manifest.get(key) != value for key, value in wanted.items()):
            return False
        read_pack(target, verify)
    except VisagistError as error:
        _log.warning("%s (done now)", error)
        return False
    return True


@contextlib.contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the lock of a target until the block ends; a process that dies lets go of it."""
    path = target.parent / f".{target.name}.lock"
    with contextlib.ExitStack() as stack:
        while True:
            lock = stack.enter_context(open(path, "wb"))
            if sys.platform != "win32":
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    _log.warning("another process is packing %s: waiting for it", target.name)
                    fcntl.flock(lock, fcntl.LOCK_EX)
            # Whoever held the lock before has removed its file: then this is not what others would lock.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock.fileno()), os.stat(path)):
                    break
            lock.close()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _build(target: Path, catalogue: Catalogue, form: Form, wanted: dict[str, Any], on_bad: str, progress: bool) -> None:
    if target.exists() and not (target / "manifest.json").is_file() and (not target.is_dir() or any(target.iterdir())):
        raise VisagistError(f"{target} is there already and is no pack: name another folder")
    for leftover in target.parent.glob(f".{target.name}.building-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    refuse_bad(catalogue.bad, on_bad, catalogue.source)
    _check_room(target.parent, catalogue, form)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.building-", dir=target.parent))
    try:
        folder.chmod(0o755)
        new = folder / "new"
        new.mkdir()
        write_pack(new, catalogue, form, wanted, on_bad, progress)
        if target.exists():
            target.rename(folder / "old")
        new.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_room(folder: Path, catalogue: Catalogue, form: Form) -> None:
    """Say before an hour of decoding that a raw pack will not fit."""
    needed = len(catalogue.files) * form.image_size**2 * 3 if form.encoding == "raw" else 0
    free = shutil.disk_usage(folder).free
    if needed > free:
        sizes = f"it needs {needed / 2**20:.0f} MiB and {free / 2**20:.0f} MiB are free"
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} ({sizes})")
