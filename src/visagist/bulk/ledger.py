"""Track which shards are finished and which are being worked on, and refuse a run with other settings.

Everything is a file of its own in `OUT/.bulk`, so that processes on several machines need nothing but the folder:

    settings.json       what was asked for; another request for the same folder is refused
    claims/SHARD.lock   held, by the operating system, while a process works on the shard; let go when the process ends
    progress/SHARD.json how far it is
    done/SHARD.json     the shard is finished: hashes of its input, its output and the settings, counts
    failed/SHARD.json   the shard could not be read to its end

What is written down carries a checksum. A damaged account of a shard counts as none, so that the shard is done again;
accounts of earlier versions, which have no checksum, are read as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout

from visagist.boundary.ownership import list_entries, refuse_foreign
from visagist.boundary.schema import json_text, parse_json
from visagist.boundary.untrusted import TABLE_BYTES, read_regular
from visagist.bulk.names import shortened
from visagist.bulk.shards import FOLDER as PICTURES
from visagist.bulk.shards import Shard
from visagist.bulk.writers import output_of, write_whole
from visagist.bulk.written import FOLDER
from visagist.errors import VisagistError, suggest_remedy
from visagist.files import sha256_of
from visagist.progress import Progress

SUMMARY = "summary.json"  # in OUT, for a person
PROGRESS_SECONDS = 1.0
_NUMBER = (int, float)
_DONE: dict[str, Any] = {
    "input": str, "output_bytes": int, "pictures": int, "faces": int, "outcomes": dict, "process": str,
    "seconds": _NUMBER, "cpu_seconds": _NUMBER,
}  # fmt: skip
_PROGRESS: dict[str, Any] = {"pictures": int, "process": str, "time": _NUMBER}
LIVE_SECONDS = 60.0  # a process that has reported nothing for longer is not counted as working


@dataclass(frozen=True)
class Ledger:
    """The account of the folder `out`, whose shards are of this kind."""

    out: Path
    kind: str

    @property
    def folder(self) -> Path:
        return self.out / FOLDER

    def open(self, settings: Mapping[str, Any], shards: Sequence[Shard]) -> None:
        """Begin, or go on with the same settings. VisagistError for others, and where results would go over other files."""
        path, requested = self.folder / "settings.json", json.loads(json_text(settings))
        self._refuse_inputs(shards)
        if self.folder.is_symlink():
            raise VisagistError(f"{self.folder} is a link: choose another --out")
        stranger = self._stranger()
        if path.exists():
            refuse_foreign(self.out / SUMMARY)
        elif stranger is not None:
            raise VisagistError(f"{stranger} is there already and not of an earlier run: choose another --out")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "settings.lock"):
                known = _read(path, {})
                if known is None:
                    self._refuse_strangers(shards, _digest(requested), path.exists())
                    write_whole(path, json_text(requested, 1).encode())
        except OSError as error:
            raise VisagistError(f"cannot write {self.out}: {error.strerror or error}; choose another --out") from error
        if known is not None and known != requested:
            names = [name for name in {**known, **requested} if known.get(name) != requested.get(name)]
            differences = "; ".join(f"{name} was {known.get(name)!r} and is {requested.get(name)!r}" for name in names[:3])
            raise VisagistError(f"{self.out} was begun with other settings ({differences}): give the same, or another --out")

    def _refuse_inputs(self, shards: Sequence[Shard]) -> None:
        out = self.out.resolve()
        for shard in shards:
            for path, _ in shard.files:
                if out in path.resolve().parents:
                    raise VisagistError(f"{path}, which is to be edited, lies in --out {self.out}: choose another --out")

    def _refuse_strangers(self, shards: Sequence[Shard], settings: str, damaged: bool) -> None:
        """VisagistError for results that nobody says were made with these settings."""
        for shard in shards:
            there = output_of(shard, self.kind, self.out)
            if there.exists() and (self.account(shard) or {}).get("settings") != settings:
                if damaged:
                    raise VisagistError(
                        f"{self.folder / 'settings.json'} is damaged, and {there} may have been made with other settings: "
                        f"choose another --out, or delete {self.out} to begin anew"
                    )
                raise VisagistError(f"{there} is there already and not of an earlier run: choose another --out")

    def _stranger(self) -> Path | None:
        """Something in a folder in which nothing is begun yet, but for what other processes that begin now put there."""
        held = (path for path in (*list_entries(self.out), *list_entries(self.folder)) if path != self.folder)
        return next((path for path in held if path.name not in ("settings.lock", ".settings.json.writing")), None)

    @contextmanager
    def claim(self, shard: Shard) -> Iterator[bool]:
        """Whether the shard is this process's own until the end of the block; another's is not waited for."""
        path = self._path("claims", shard, ".lock")
        lock = FileLock(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        except OSError as error:
            remedy = f"delete {path}" if path.exists() and not path.is_file() else "choose a file system with locks"
            raise VisagistError(f"cannot lock {path}: {error.strerror or error}; {remedy}") from error
        try:
            yield True
        finally:
            self._path("progress", shard).unlink(missing_ok=True)
            lock.release()

    def is_finished(self, shard: Shard) -> bool:
        """Whether the output of this shard, as its files are now, is in its place."""
        account, output = self.account(shard), output_of(shard, self.kind, self.out)
        if account is None or not output.exists():
            return False
        return bool(account["input"] == shard.fingerprint() and account["output_bytes"] == output.stat().st_size)

    def account(self, shard: Shard) -> dict[str, Any] | None:
        """The account of a finished shard; None for another."""
        account = _read(self._path("done", shard), _DONE)
        whole = account is not None and all(isinstance(number, int) for number in account["outcomes"].values())
        return account if whole else None

    def verify(self, shards: Sequence[Shard], progress: Progress) -> None:
        """Forget finished shards whose output is no longer, byte for byte, what was written, so that they are done again."""
        for shard in shards:
            account = self.account(shard)
            if account is not None and self.is_finished(shard) and not self._as_written(shard, account):
                with self.claim(shard) as claimed:
                    if claimed:
                        self._forget(self._path("done", shard))
                        progress.message(f"! {shard.name}: its output is not what was written, and is made anew")

    def _as_written(self, shard: Shard, account: Mapping[str, Any]) -> bool:
        output = output_of(shard, self.kind, self.out)
        folder = self.out if shard.kind == PICTURES else self.out / shard.name
        known = {folder / name: digest for name, digest in account.get("files", {}).items()}
        if "output_sha256" in account:
            known[output] = account["output_sha256"]
        try:
            return all(sha256_of(path) == digest for path, digest in known.items())
        except (OSError, VisagistError):
            return False

    def finish(self, shard: Shard, fingerprint: str, account: Mapping[str, Any]) -> None:
        """Write down that the shard is finished, whose output is in its place."""
        output, settings = output_of(shard, self.kind, self.out), _read(self.folder / "settings.json", {})
        account = {
            "shard": shard.name, "input": fingerprint, "output_bytes": output.stat().st_size,
            "output_sha256": sha256_of(output), "settings": settings and _digest(settings),
            "process": process_name(), **account,
        }  # fmt: skip
        self._write(self._path("done", shard), account)
        self._forget(self._path("failed", shard))

    def fail(self, shard: Shard, reason: str) -> None:
        """Write down that the shard cannot be finished, so that no other process tries it too."""
        self._write(self._path("failed", shard), {"shard": shard.name, "reason": reason})

    def failure(self, shard: Shard) -> str | None:
        """Why the shard could not be finished; None where it has not failed."""
        account = _read(self._path("failed", shard), {"reason": str})
        return None if account is None else str(account["reason"])

    def forget_failures(self) -> None:
        """Let what failed in an earlier run be tried again."""
        for path in (self.folder / "failed").glob("*.json"):
            self._forget(path)

    def _forget(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise VisagistError(f"cannot remove {path}: {error.strerror or error}; delete it and run again") from error

    def _write(self, path: Path, account: Mapping[str, Any]) -> None:
        try:
            write_whole(path, json_text({**account, "checksum": _digest(account)}).encode())
        except OSError as error:
            remedy = f"delete {path}" if path.is_dir() else suggest_remedy(error, "choose another --out")
            raise VisagistError(f"cannot write {path}: {error.strerror or error}; {remedy}, then run it again") from error

    def report(self, shard: Shard, pictures: int) -> None:
        """Report how many pictures of a shard are done; a crash may lose the report."""
        path = self._path("progress", shard)
        path.parent.mkdir(parents=True, exist_ok=True)
        waiting = path.with_suffix(".writing")
        waiting.write_text(json_text({"pictures": pictures, "process": process_name(), "time": time.time()}))
        waiting.replace(path)

    def under_way(self) -> list[dict[str, Any]]:
        """The last report of each process that is at work."""
        reports = [_read(path, _PROGRESS) for path in (self.folder / "progress").glob("*.json")]
        return [report for report in reports if report is not None and time.time() - report["time"] < LIVE_SECONDS]

    def _path(self, what: str, shard: Shard, ending: str = ".json") -> Path:
        return self.folder / what / (shortened(quote(shard.name, safe=" ", errors="surrogateescape")) + ending)


def process_name() -> str:
    """The machine and the number of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _digest(account: Mapping[str, Any]) -> str:
    return hashlib.sha256(json_text(account, sort_keys=True).encode()).hexdigest()


def _read(path: Path, needed: Mapping[str, Any]) -> dict[str, Any] | None:
    """The JSON of a file with the fields that are needed, of these kinds; None where it is not there or damaged."""
    try:
        data = read_regular(path, TABLE_BYTES)
    except FileNotFoundError:
        return None
    except VisagistError as error:
        raise VisagistError(f"{error}; delete {path} and run again") from error
    except OSError as error:
        raise VisagistError(f"cannot read {path}: {error.strerror or error}; check its rights") from error
    try:
        account: dict[str, Any] = parse_json(data, dict[str, Any], str(path), "delete it", TABLE_BYTES)
    except VisagistError:
        return None
    if not all(isinstance(account.get(name), kind) for name, kind in needed.items()):
        return None
    checksum = account.pop("checksum", None)
    return account if checksum is None or checksum == _digest(account) else None
