"""Which shards of a folder of results are finished, which are being worked on, and by which settings all of them are made.

Everything is a file of its own in `OUT/.bulk`, so that processes on several machines need nothing but the folder:

    settings.json       what was asked for; another request for the same folder is refused
    claims/SHARD.lock   held, by the operating system, while a process works on the shard; let go when the process ends
    progress/SHARD.json how far it is
    done/SHARD.json     the shard is finished: a hash of its input, the size of its output, counts
    failed/SHARD.json   the shard could not be read to its end
"""

from __future__ import annotations

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

from visagist.editing.bulk_names import FOLDER
from visagist.editing.bulk_shards import Shard
from visagist.editing.bulk_writing import output_of, write_whole
from visagist.errors import VisagistError
from visagist.ownership import entries, refuse_foreign

SUMMARY = "summary.json"  # in OUT, for a person
PROGRESS_SECONDS = 1.0
LIVE_SECONDS = 60.0  # a process that has told nothing for so long is not counted as working


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
        place, wanted = self.folder / "settings.json", json.loads(json.dumps(settings))
        self._refuse_inputs(shards)
        if self.folder.is_symlink():
            raise VisagistError(f"{self.folder} is a link: choose another --out")
        stranger = self._stranger()
        if _read(place) is not None:
            refuse_foreign(self.out / SUMMARY)
        elif stranger is not None:
            raise VisagistError(f"{stranger} is there already and not of an earlier run: choose another --out")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "settings.lock"):
                known = _read(place)
                if known is None:
                    write_whole(place, json.dumps(wanted, indent=1).encode())
        except OSError as error:
            raise VisagistError(f"cannot write {self.out}: {error.strerror or error}; choose another --out") from error
        if known is not None and known != wanted:
            names = [name for name in {**known, **wanted} if known.get(name) != wanted.get(name)]
            told = "; ".join(f"{name} was {known.get(name)!r} and is {wanted.get(name)!r}" for name in names[:3])
            raise VisagistError(f"{self.out} was begun with other settings ({told}): give the same, or another --out")

    def _refuse_inputs(self, shards: Sequence[Shard]) -> None:
        out = self.out.resolve()
        for shard in shards:
            for path, _ in shard.files:
                if out in path.resolve().parents:
                    raise VisagistError(f"{path}, which is to be edited, lies in --out {self.out}: choose another --out")

    def _stranger(self) -> Path | None:
        """Something in a folder in which nothing is begun yet, but for what other processes that begin now put there."""
        held = (path for path in (*entries(self.out), *entries(self.folder)) if path != self.folder)
        return next((path for path in held if path.name not in ("settings.lock", ".settings.json.writing")), None)

    @contextmanager
    def claim(self, shard: Shard) -> Iterator[bool]:
        """Whether the shard is this process's own until the end of the block; another's is not waited for."""
        place = self._place("claims", shard, ".lock")
        lock = FileLock(place)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        except OSError as error:
            raise VisagistError(
                f"cannot lock {place}: {error.strerror or error}; choose a file system with locks"
            ) from error
        try:
            yield True
        finally:
            self._place("progress", shard).unlink(missing_ok=True)
            lock.release()

    def finished(self, shard: Shard) -> bool:
        """Whether the output of this shard, as its files are now, is in its place."""
        told, output = self.told(shard), output_of(shard, self.kind, self.out)
        if told is None or not output.exists():
            return False
        return bool(told["input"] == shard.fingerprint() and told["output_bytes"] == output.stat().st_size)

    def told(self, shard: Shard) -> dict[str, Any] | None:
        """What was written down of a finished shard; None for another."""
        return _read(self._place("done", shard))

    def finish(self, shard: Shard, fingerprint: str, told: Mapping[str, Any]) -> None:
        """Write down that the shard is finished, whose output is in its place."""
        size = output_of(shard, self.kind, self.out).stat().st_size
        account = {"shard": shard.name, "input": fingerprint, "output_bytes": size, "process": process_name(), **told}
        write_whole(self._place("done", shard), json.dumps(account).encode())
        self._place("failed", shard).unlink(missing_ok=True)

    def fail(self, shard: Shard, reason: str) -> None:
        """Write down that the shard cannot be finished, so that no other process tries it too."""
        write_whole(self._place("failed", shard), json.dumps({"shard": shard.name, "reason": reason}).encode())

    def failed(self, shard: Shard) -> str | None:
        """Why the shard could not be finished; None where nothing of the kind was written down."""
        told = _read(self._place("failed", shard))
        return None if told is None else str(told["reason"])

    def forget_failures(self) -> None:
        """Let what failed in an earlier run be tried again."""
        for place in (self.folder / "failed").glob("*.json"):
            place.unlink(missing_ok=True)

    def progress(self, shard: Shard, pictures: int) -> None:
        """Tell how many pictures of a shard that is being worked on are done; lost with a crash, and not missed."""
        place = self._place("progress", shard)
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_suffix(".writing")
        fresh.write_text(json.dumps({"pictures": pictures, "process": process_name(), "time": time.time()}))
        fresh.replace(place)

    def under_way(self) -> list[dict[str, Any]]:
        """What the processes that are at work told last."""
        told = [_read(place) for place in (self.folder / "progress").glob("*.json")]
        return [one for one in told if one is not None and time.time() - one["time"] < LIVE_SECONDS]

    def _place(self, what: str, shard: Shard, ending: str = ".json") -> Path:
        return self.folder / what / (quote(shard.name, safe=" ", errors="surrogateescape") + ending)


def process_name() -> str:
    """The machine and the number of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _read(place: Path) -> dict[str, Any] | None:
    """The JSON of a file; None where it is not there."""
    try:
        told = json.loads(place.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise VisagistError(f"cannot read {place}: {' '.join(str(error).split())}; take it away and run again") from error
    if not isinstance(told, dict):
        raise VisagistError(f"{place} is not what bulk wrote: take it away and run again")
    return told
