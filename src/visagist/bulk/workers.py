"""The processes of one machine that share the shards of `visagist bulk`, and the progress of all of them."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from visagist.bulk.ledger import Ledger
from visagist.bulk.samples import DamagedShardError
from visagist.bulk.shards import Shard
from visagist.errors import VisagistError
from visagist.processes import GRACE_SECONDS, Process, end_processes, handle_signals, start_python
from visagist.progress import Progress

_POLL_SECONDS = 1.0


def run_processes(number: int, ledger: Ledger, shards: Sequence[Shard], progress: Progress) -> None:
    """Run this command in `number` processes and wait for all.

    They do not depend on each other: one that dies leaves its shard to the others. VisagistError where shards are left.
    """
    processes: list[Process] = []
    with handle_signals(_interrupt, signal.SIGTERM):
        try:
            for rank in range(number):
                ranks = {"WORLD_SIZE": str(number + 1), "RANK": str(rank + 1), "LOCAL_RANK": str(rank)}
                processes.append(start_python(["-m", "visagist", *sys.argv[1:]], processes=number, environment=ranks))
            statuses = [process.wait() for process in processes]
        finally:
            end_processes(processes)
    for status in statuses:
        if status:
            progress.message(f"! a process ended with {status}")
    left = sum(ledger.failure(shard) is None and not ledger.is_finished(shard) for shard in shards)
    if left:
        raise VisagistError(f"{left} shards are left as processes ended before their time: run the same command again")


def _interrupt(number: int) -> None:
    sys.exit(128 + number)


@contextmanager
def watch(ledger: Ledger, shards: Sequence[Shard], progress: Progress) -> Iterator[None]:
    """Follow the pictures of all shards, whoever edits them, until the block ends."""
    ended = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(ledger, shards, progress, ended), name="visagist-bulk-progress", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join(GRACE_SECONDS if sys.exc_info()[0] is None else _POLL_SECONDS)


def _watch(ledger: Ledger, shards: Sequence[Shard], progress: Progress, ended: threading.Event) -> None:
    progress.stage("editing", _count(ledger, shards, ended), "photos")
    waiting, done = list(shards), 0
    while True:
        last = ended.is_set()
        accounts = [(shard, ledger.account(shard)) for shard in waiting]
        waiting = [shard for shard, account in accounts if account is None]
        done += sum(account["pictures"] for _, account in accounts if account is not None)
        progress.report(done + sum(report["pictures"] for report in ledger.under_way()))
        if last:
            return
        ended.wait(_POLL_SECONDS)


def _count(ledger: Ledger, shards: Sequence[Shard], ended: threading.Event) -> int | None:
    """The number of pictures, by the accounts of finished shards and the headers of the others."""
    total = 0
    for shard in shards:
        if ended.is_set():
            return None
        try:
            account = ledger.account(shard)
            total += shard.count() if account is None else account["pictures"]
        except DamagedShardError:
            pass  # reported by whoever edits it
    return total
