"""Track which shards are finished, and refuse a run with other settings.

Everything is a file of its own in `OUT/.bulk`, on a disk or in a bucket:

    settings.json       what was asked for; another request for the same folder is refused
    plans/RUN.json      the names of the shards that a run was begun with
    now/RUN.json        how far it was when it last said so
    done/SHARD.json     the shard is finished: hashes of its input, its output and the settings, counts
    failed/SHARD.json   the shard could not be read to its end

A shard is finished when its output is in its place and then its account, which is only written where none is. Two attempts
at one shard, of which a cluster took the first for dead, give the same bytes, and one account.

What is written down carries a checksum. A damaged account of a shard counts as none, so that the shard is done again;
accounts of earlier versions, which have no checksum, are read as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from visagist.boundary.ownership import list_entries, refuse_foreign
from visagist.boundary.schema import json_text, parse_json
from visagist.boundary.untrusted import TABLE_BYTES
from visagist.bulk.addresses import RemoteFile, StorageError
from visagist.bulk.names import shortened
from visagist.bulk.shards import FOLDER as PICTURES
from visagist.bulk.shards import Shard
from visagist.bulk.store import FOLDER, LocalStore, RemoteStore, Store, Written, open_store
from visagist.bulk.writers import output_name
from visagist.bulk.written import WrittenNames
from visagist.errors import VisagistError, suggest_remedy
from visagist.progress import Progress

SUMMARY = "summary.json"  # in OUT, for a person
SETTINGS = f"{FOLDER}/settings.json"
AT_ONCE = 16  # requests to a bucket
_NUMBER = (int, float)
_DONE: dict[str, Any] = {
    "input": str, "output_bytes": int, "pictures": int, "faces": int, "outcomes": dict, "process": str,
    "seconds": _NUMBER, "cpu_seconds": _NUMBER,
}  # fmt: skip
_OWN_SUMMARY = {"shards", "failed_shards", "settings"}
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Ledger:
    """The account of the folder or address `out`, whose shards are of this kind."""

    out: Path | str
    kind: str

    @cached_property
    def store(self) -> Store:
        return open_store(self.out)

    def open(self, settings: Mapping[str, Any], shards: Sequence[Shard]) -> None:
        """Begin, or go on with the same settings. VisagistError for others, and where results would go over other files."""
        requested = json.loads(json_text(settings))
        self._refuse_inputs(shards)
        known = self._refuse_foreign()
        if known is None:
            damaged = self._exists(SETTINGS)
            self._refuse_strangers(shards if damaged else (), _digest(requested))
            try:
                if damaged:
                    self.store.remove(SETTINGS)
                if not self.store.create(SETTINGS, json_text(requested, 1).encode()):
                    known = self._read(SETTINGS, {})  # of a run that began at the same time
            except OSError as error:
                raise VisagistError(f"cannot write {self.out}: {error.strerror or error}; choose another --out") from error
        if known is not None and known != requested:
            names = [name for name in {**known, **requested} if known.get(name) != requested.get(name)]
            differences = "; ".join(f"{name} was {known.get(name)!r} and is {requested.get(name)!r}" for name in names[:3])
            raise VisagistError(f"{self.out} was begun with other settings ({differences}): give the same, or another --out")

    def _refuse_inputs(self, shards: Sequence[Shard]) -> None:
        out = self.out.resolve() if isinstance(self.out, Path) else None
        for shard in shards:
            for source, _ in shard.files:
                if isinstance(source, RemoteFile):
                    inside = source.address.startswith(f"{self.store}/")
                else:
                    inside = out is not None and out in source.resolve().parents
                if inside:
                    raise VisagistError(f"{source}, which is to be edited, lies in --out {self.out}: choose another --out")

    def _refuse_foreign(self) -> dict[str, Any] | None:
        """The settings that the folder was begun with; VisagistError for a folder that holds anything of somebody's."""
        store = self.store
        if isinstance(store, LocalStore):
            folder = store.root / FOLDER
            if folder.is_symlink():
                raise VisagistError(f"{folder} is a link: choose another --out")
            if (store.root / SETTINGS).exists():
                refuse_foreign(store.root / SUMMARY)
                store.clear_stale()
                return self._read(SETTINGS, {})
            held = [str(p) for p in (*list_entries(store.root), *list_entries(folder)) if p.name not in (FOLDER, "writing")]
        else:
            if self._exists(SETTINGS):
                if self._exists(SUMMARY) and not (self._read(SUMMARY, {}) or {}).keys() >= _OWN_SUMMARY:
                    raise VisagistError(f"{store.where(SUMMARY)} is there already and visagist did not write it: "
                                        "choose another --out")  # fmt: skip
                return self._read(SETTINGS, {})
            held = [store.where(name) for name in (*store.names(""), *store.names(FOLDER))]
        if held:
            if self._exists(SETTINGS):  # of a run that began just now
                return self._read(SETTINGS, {})
            raise VisagistError(f"{held[0]} is there already and not of an earlier run: choose another --out")
        return None

    def _exists(self, name: str) -> bool:
        return self.store.facts(name) is not None

    def _refuse_strangers(self, shards: Sequence[Shard], settings: str) -> None:
        """VisagistError for results that nobody says were made with these settings."""
        for shard in shards:
            there = output_name(shard, self.kind)
            if self._exists(there) and (self.account(shard) or {}).get("settings") != settings:
                raise VisagistError(
                    f"{self.store.where(SETTINGS)} is damaged, and {self.store.where(there)} may have been made with other "
                    f"settings: choose another --out, or delete {self.out} to begin anew"
                )

    def is_finished(self, shard: Shard) -> bool:
        """Whether the output of this shard, as its files are now, is in its place."""
        account = self.account(shard)
        if account is None or account["input"] != shard.fingerprint():
            return False
        facts = self.store.facts(output_name(shard, self.kind))
        return facts is not None and bool(facts.size == account["output_bytes"])

    def account(self, shard: Shard) -> dict[str, Any] | None:
        """The account of a finished shard; None for another."""
        account = self._read(self._name("done", shard), _DONE)
        whole = account is not None and all(isinstance(number, int) for number in account["outcomes"].values())
        return account if whole else None

    def unfinished(self, shards: Sequence[Shard]) -> list[Shard]:
        """Those of the shards that are neither finished nor failed."""
        settled = self.over(lambda shard: self.failure(shard) is not None or self.is_finished(shard), shards)
        return [shard for shard, is_settled in zip(shards, settled, strict=True) if not is_settled]

    def over(self, call: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """What a call gives for each; of a bucket, which takes its time to answer, many are asked for at once."""
        if not isinstance(self.store, RemoteStore):
            return [call(item) for item in items]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(call, items))

    def verify(self, shards: Sequence[Shard], progress: Progress) -> None:
        """Forget finished shards whose output is no longer what was written, so that they are done again."""
        for shard, changed in zip(shards, self.over(self._is_changed, shards), strict=True):
            if changed:
                self.forget(shard)
                progress.message(f"! {shard.name}: its output is not what was written, and is made anew")

    def _is_changed(self, shard: Shard) -> bool:
        account = self.account(shard)
        if account is None or not self.is_finished(shard):
            return False
        output, base = output_name(shard, self.kind), "" if shard.kind == PICTURES else f"{shard.name}/"
        known = {output: account["output_sha256"]} if "output_sha256" in account else {}
        if isinstance(self.store, LocalStore):
            known |= {base + name: digest for name, digest in account.get("files", {}).items()}
        version = str(account.get("output_version", ""))
        return not all(self.store.is_as_written(name, digest, version) for name, digest in known.items())

    def forget_faults(self, shards: Sequence[Shard]) -> None:
        """Let shards be done again in which pictures failed or could not be read."""
        for shard, account in zip(shards, self.over(self.account, shards), strict=True):
            if account is not None and any(account["outcomes"].get(name) for name in ("failed", "unreadable")):
                self.forget(shard)

    def finish(self, shard: Shard, fingerprint: str, written: Written, account: Mapping[str, Any]) -> dict[str, Any]:
        """Write down that the shard is finished, whose output is in its place; the account.

        StorageError where another attempt has said so of other bytes.
        """
        settings = self._read(SETTINGS, {})
        account = {
            "shard": shard.name, "input": fingerprint, "output_bytes": written.size, "output_sha256": written.sha256,
            "output_version": written.version, "settings": settings and _digest(settings), "process": process_name(),
            **account,
        }  # fmt: skip
        name = self._name("done", shard)
        if not self._put(name, account, self.store.create):
            other = self.account(shard)
            if other is None or other.get("output_sha256") != written.sha256:
                self.forget(shard)
                raise StorageError(f"{shard.name} was written by two processes at once, and differently")
        self._remove(self._name("failed", shard))
        return account

    def fail(self, shard: Shard, reason: str) -> None:
        """Write down that the shard cannot be finished."""
        self._put(self._name("failed", shard), {"shard": shard.name, "reason": reason}, self.store.write)

    def failure(self, shard: Shard) -> str | None:
        """Why the shard could not be finished; None where it has not failed."""
        account = self._read(self._name("failed", shard), {"reason": str})
        return None if account is None else str(account["reason"])

    def forget_failures(self) -> None:
        """Let what failed in an earlier run be tried again."""
        for name in self.store.names(f"{FOLDER}/failed"):
            self._remove(f"{FOLDER}/failed/{name}")

    def forget_failure(self, shard: Shard) -> None:
        """Let a shard that failed be tried again."""
        self._remove(self._name("failed", shard))

    def forget(self, shard: Shard) -> None:
        """Take back that a shard is finished."""
        if isinstance(self.store, LocalStore):
            WrittenNames(Path(self.store.where("")), shard.name).take_over(Path(self.store.where(self._name("done", shard))))
        self._remove(self._name("done", shard))

    def note(self, what: str, run: str, account: Mapping[str, Any]) -> None:
        """Write down the plan of a run, or how far it is."""
        self._put(f"{FOLDER}/{what}/{run}.json", account, self.store.write)

    def noted(self, what: str, needed: Mapping[str, Any]) -> list[dict[str, Any]]:
        """All plans, accounts or failures that are whole."""
        names = [f"{FOLDER}/{what}/{name}" for name in self.store.names(f"{FOLDER}/{what}") if name.endswith(".json")]
        accounts: Iterable[dict[str, Any] | None] = self.over(lambda name: self._read(name, needed), names)
        return [account for account in accounts if account is not None]

    def finished(self) -> list[dict[str, Any]]:
        """The accounts of all finished shards, whatever they were made of."""
        return self.noted("done", {"shard": str, **_DONE})

    def _remove(self, name: str) -> None:
        try:
            self.store.remove(name)
        except OSError as error:
            where = self.store.where(name)
            raise VisagistError(f"cannot remove {where}: {error.strerror or error}; delete it and run again") from error

    def _put(self, name: str, account: Mapping[str, Any], put: Callable[[str, bytes], R]) -> R:
        try:
            return put(name, json_text({**account, "checksum": _digest(account)}).encode())
        except OSError as error:
            where = self.store.where(name)
            remedy = f"delete {where}" if os.path.isdir(where) else suggest_remedy(error, "choose another --out")
            raise VisagistError(f"cannot write {where}: {error.strerror or error}; {remedy}, then run it again") from error

    def _name(self, what: str, shard: Shard) -> str:
        return f"{FOLDER}/{what}/" + shortened(quote(shard.name, safe=" ", errors="surrogateescape")) + ".json"

    def _read(self, name: str, needed: Mapping[str, Any]) -> dict[str, Any] | None:
        """The JSON of a file with the fields that are needed, of these kinds; None where it is not there or damaged."""
        where = self.store.where(name)
        try:
            data = self.store.read(name)
        except FileNotFoundError:
            return None
        except StorageError:
            raise
        except VisagistError as error:
            raise VisagistError(f"{error}; delete {where} and run again") from error
        except OSError as error:
            raise VisagistError(f"cannot read {where}: {error.strerror or error}; check its rights") from error
        try:
            account: dict[str, Any] = parse_json(data, dict[str, Any], where, "delete it", TABLE_BYTES)
        except VisagistError:
            return None
        if not all(isinstance(account.get(name), kind) for name, kind in needed.items()):
            return None
        checksum = account.pop("checksum", None)
        return account if checksum is None or checksum == _digest(account) else None


def process_name() -> str:
    """The machine and the number of this process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _digest(account: Mapping[str, Any]) -> str:
    return hashlib.sha256(json_text(account, sort_keys=True).encode()).hexdigest()
