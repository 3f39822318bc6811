"""Edit what arrives in a folder or under a prefix, until it is interrupted.

A tar or parquet file is a shard as in any job. Pictures become shards in the order in which they arrive, some at a time;
which pictures a shard has is written down in `OUT/.bulk/arrived` before it is edited, so that a later run goes on with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from visagist.bulk.addresses import RemoteFile, Source, facts_of, scheme_of
from visagist.bulk.ledger import Ledger
from visagist.bulk.shards import FOLDER, Shard, find_shards
from visagist.errors import VisagistError

SETTLED_SECONDS = 2.0  # a file that changed later may still be written
_ARRIVED: dict[str, Any] = {"shard": str, "names": list}


class Inbox:
    """A folder or prefix, and the shards that have come of it."""

    def __init__(self, folder: str, image: str | None, shard_size: int, out: Path | str) -> None:
        self.folder, self.image, self.shard_size, self.out = folder.rstrip("/"), image, shard_size, out
        if scheme_of(folder) is None and not Path(folder).is_dir():
            raise VisagistError(f"--watch {folder} is no folder: make it, or name another")
        self.facts: dict[Source, tuple[object, object]] = {}

    def shards(self, ledger: Ledger | None) -> list[Shard]:
        """All shards that are whole by now; without a ledger, those of tar or parquet files, or one of all pictures."""
        files = [file for file in self._listed() if self._is_settled(file)]
        if not files:
            return []
        if files[0].kind != FOLDER or ledger is None:
            return files
        return self._of_pictures(files, ledger)

    def _listed(self) -> list[Shard]:
        """Each tar or parquet file, or each picture, as a shard of its own."""
        try:
            shards = find_shards([self.folder], 1, self.image, out=self.out)
        except VisagistError as error:
            if "holds no tar file" in str(error) or "there is no shard" in str(error):
                return []
            raise
        return shards

    def _is_settled(self, shard: Shard) -> bool:
        """Whether a file is as it was at the last look, and not of these seconds; what is in a bucket is whole."""
        source = shard.path
        if isinstance(source, RemoteFile):
            return True
        facts, before = facts_of(source), self.facts.get(source)
        self.facts[source] = facts
        return facts == before and isinstance(facts[1], int) and time.time() - facts[1] / 1e9 > SETTLED_SECONDS

    def _of_pictures(self, files: Sequence[Shard], ledger: Ledger) -> list[Shard]:
        there = {self._name(shard.path): shard.path for shard in files}
        known = {account["shard"]: account["names"] for account in ledger.noted("arrived", _ARRIVED)}
        taken = {name for names in known.values() for name in names}
        fresh = [name for name in there if name not in taken]
        for start in range(0, len(fresh), self.shard_size):
            shard, names = f"arrived-{len(known):06d}", fresh[start : start + self.shard_size]
            ledger.note("arrived", shard, {"shard": shard, "names": names})
            known[shard] = names
        return [
            Shard(shard, FOLDER, tuple((there.get(name) or self._missing(name), name) for name in names), self.image)
            for shard, names in sorted(known.items())
        ]

    def _name(self, source: Source) -> str:
        """The name of a picture below the folder, which does not change as others come."""
        if isinstance(source, RemoteFile):
            return source.address.removeprefix(f"{self.folder}/")
        return Path(os.path.relpath(source, self.folder)).as_posix()

    def _missing(self, name: str) -> Source:
        """A picture that was there and no longer is."""
        return RemoteFile(f"{self.folder}/{name}", 0, "") if scheme_of(self.folder) else Path(self.folder, name)


def watch(
    inbox: Inbox, ledger: Ledger, edit: Callable[[Sequence[Shard]], None], every: float, is_ended: Callable[[], bool]
) -> None:
    """Look into the inbox every so many seconds, and edit the shards that are new or have changed, until it is ended.

    What was edited stays when it is taken out of the inbox.
    """
    seen: dict[str, str] = {}
    while not is_ended():
        fresh = [shard for shard in inbox.shards(ledger) if seen.get(shard.name) != shard.fingerprint()]
        for shard in fresh:
            if shard.name in seen:
                ledger.forget_failure(shard)
            seen[shard.name] = shard.fingerprint()
        edit([shard for shard in fresh if not (_lacks_files(shard) and ledger.account(shard) is not None)])
        time.sleep(every)


def _lacks_files(shard: Shard) -> bool:
    return any(facts_of(source) in ((None, None), (0, "")) for source, _ in shard.files)
