"""The processes of one machine that share the shards of `visagist bulk`, and the progress of all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from visagist.boundary.python_path import child_environment, python_command
from visagist.bulk.ledger import Ledger
from visagist.bulk.samples import DamagedShardError
from visagist.bulk.shards import Shard
from visagist.errors import VisagistError
from visagist.progress import Progress

_POLL_SECONDS = 1.0
_ENDING_SECONDS = 10.0


def run_processes(number: int, ledger: Ledger, shards: Sequence[Shard], progress: Progress) -> None:
    """Run this command in `number` processes and wait for all.

    They do not depend on each other: one that dies leaves its shard to the others. VisagistError where shards are left.
    """
    threads = str(max(1, (os.cpu_count() or 1) // number))
    shared = child_environment({"OMP_NUM_THREADS": threads, **os.environ, "WORLD_SIZE": str(number + 1)})
    command = python_command("-m", "visagist", *sys.argv[1:])
    processes: list[subprocess.Popen[bytes]] = []
    before = signal.signal(signal.SIGTERM, _interrupted)
    try:
        for rank in range(number):
            environment = {**shared, "RANK": str(rank + 1), "LOCAL_RANK": str(rank)}
            processes.append(subprocess.Popen(command, env=environment))
        statuses = [process.wait() for process in processes]
    finally:
        _end(processes)
        signal.signal(signal.SIGTERM, before)
    for status in statuses:
        if status:
            progress.message(f"! a process ended with {status}")
    left = sum(ledger.failure(shard) is None and not ledger.is_finished(shard) for shard in shards)
    if left:
        raise VisagistError(f"{left} shards are left as processes ended before their time: run the same command again")


def _interrupted(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End those that still run; the next run starts their shards again."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
        watcher.join(_ENDING_SECONDS if sys.exc_info()[0] is None else _POLL_SECONDS)


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
