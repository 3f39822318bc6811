"""Which files of a folder of results bulk wrote: their names are listed before they are written, shard by shard.

`OUT/.bulk/written/SHARD.names` has a name a line, as JSON. It outlives kills, so that a shard that is done anew knows what
of an earlier attempt it may write over, whatever has been put beside it. In a bucket, where nothing can be added to a file,
the list is written anew for some files at a time, and a file is put only where none is, or an own one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from visagist.boundary.ownership import probe_object, refuse_foreign, refuse_outside
from visagist.boundary.schema import Open, json_text, parse_json
from visagist.boundary.untrusted import TABLE_BYTES, read_regular
from visagist.bulk.names import shortened
from visagist.bulk.store import FOLDER, LocalStore, RemoteStore, Store
from visagist.errors import VisagistError


class Names(Protocol):
    """What one shard writes, and may write over."""

    together: int  # how many files are best handed over at a time

    def take_output(self, name: str) -> None:
        """List the shard's own output, before it is written. VisagistError where there is one that bulk did not write."""

    def put(self, files: Mapping[str, bytes]) -> None:
        """List files beside it and write them. VisagistError where one is there that bulk did not write."""


def names_of(store: Store, shard: str) -> Names:
    """The list of what a shard writes into a store."""
    return RemoteNames(store, shard) if isinstance(store, RemoteStore) else WrittenNames(Path(store.where("")), shard)


class WrittenNames:
    """What was written into `out`; a shard, which is this process's own meanwhile, adds to it."""

    together = 1

    def __init__(self, out: Path, shard: str) -> None:
        self.out, self.folder = out, out / FOLDER
        self.list_path = out / _list_name(shard)
        self.own = set(_names(self.list_path))
        self.others: set[str] | None = None

    def take_output(self, name: str) -> None:
        self.take(self.out / name)

    def put(self, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            self.take(self.out / name, data)
            LocalStore(self.out).write(name, data)

    def take(self, path: Path, data: bytes | None = None) -> None:
        """List a file that is to be written. VisagistError where one is there that bulk did not write.

        One that holds `data` already is as good as written. Raises OSError where the list cannot be written.
        """
        refuse_outside(path, self.out)
        name = os.path.relpath(path, self.out)
        if name in self.own:
            return
        if os.path.lexists(path) and (data is None or path.is_symlink() or not _holds(path, data)):
            refuse_foreign(path, owned=lambda _: name in self._listed_by_others())
        self.list_path.parent.mkdir(parents=True, exist_ok=True)
        with self.list_path.open("a", encoding="utf-8") as file:
            file.write("\n" + json_text(name))  # on a line of its own, even behind one that a kill cut
        self.own.add(name)

    def _listed_by_others(self) -> set[str]:
        """What other shards wrote, and what was written by those versions that listed a shard when it was finished."""
        if self.others is None:
            self.others = {name for path in (self.folder / "written").glob("*.names") for name in _names(path)}
            self.others |= set(self._finished((self.folder / "done").glob("*.json")))
        return self.others

    def take_over(self, account: Path) -> None:
        """List what an earlier version wrote of this shard, whose account alone says so and is about to go."""
        if self.own or not account.is_file():
            return
        self.own = set(self._finished([account]))
        self.list_path.parent.mkdir(parents=True, exist_ok=True)
        self.list_path.write_text("".join("\n" + json_text(name) for name in sorted(self.own)), encoding="utf-8")

    def _finished(self, accounts: Iterable[Path]) -> Iterator[str]:
        for account in accounts:
            shard = str(probe_object(account).get("shard", ""))
            yield from (f"{shard}.tar", f"{shard}.parquet", f"{shard}.edits.jsonl")
            if shard != Path(shard).name:
                continue
            try:
                lines = read_regular(self.out / f"{shard}.edits.jsonl", TABLE_BYTES).splitlines()
                what = f"a line of {shard}.edits.jsonl"
                rows: list[_EditLine] = [parse_json(line, _EditLine, what, "delete it") for line in lines]
            except (OSError, VisagistError):
                continue
            yield from (str(Path(base, row.file)) for row in rows if row.file for base in ("", shard))


class RemoteNames:
    """What one shard puts into a bucket."""

    together = 64

    def __init__(self, store: Store, shard: str) -> None:
        self.store, self.list_name = store, _list_name(shard)
        try:
            self.own = dict.fromkeys(_parsed(store.read(self.list_name).decode().splitlines(), self.list_name))
        except (FileNotFoundError, UnicodeDecodeError):
            self.own = {}

    def take_output(self, name: str) -> None:
        if name in self.own:
            return
        if self.store.facts(name) is not None:
            raise VisagistError(f"{self.store.where(name)} is there already and visagist did not write it: "
                                "choose another --out")  # fmt: skip
        self._list([name])

    def put(self, files: Mapping[str, bytes]) -> None:
        earlier = set(self.own)
        self._list(files)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: self._put(name, files[name], owned=name in earlier), files))

    def _put(self, name: str, data: bytes, owned: bool) -> None:
        if owned:
            self.store.write(name, data)
        elif not self.store.create(name, data) and self.store.read(name) != data:
            raise VisagistError(f"{self.store.where(name)} is there already and visagist did not write it: "
                                "choose another --out")  # fmt: skip

    def _list(self, names: Iterable[str]) -> None:
        self.own |= dict.fromkeys(names)
        self.store.write(self.list_name, "\n".join(map(json_text, self.own)).encode())


def _list_name(shard: str) -> str:
    return f"{FOLDER}/written/" + shortened(quote(shard, safe=" ", errors="surrogateescape")) + ".names"


@dataclass(frozen=True)
class _EditLine(Open):
    """A row of SHARD.edits.jsonl."""

    file: str | None = None


def _names(path: Path) -> Iterator[str]:
    """The names in a list; a kill may have cut the last, which was not written then."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise VisagistError(f"cannot read {path}: {' '.join(str(error).split())}; take it away and run again") from error
    yield from _parsed(lines, str(path))


def _parsed(lines: Iterable[str], where: str) -> Iterator[str]:
    for line in filter(None, lines):
        try:
            yield parse_json(line, str, f"a line of {where}", "delete it")
        except VisagistError:
            continue


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data
