"""The processes of one machine that share the shards of `visagist bulk`, and the bar that watches all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from visagist.boundary.python_path import child_environment, python_command
from visagist.boundary.terminal import PlainConsole, text_column
from visagist.bulk.ledger import Ledger
from visagist.bulk.samples import DamagedShardError
from visagist.bulk.shards import Shard
from visagist.cli.console import say
from visagist.errors import VisagistError

_LOOK_SECONDS = 1.0
_ENDING_SECONDS = 10.0


def run_processes(number: int, ledger: Ledger, shards: Sequence[Shard]) -> None:
    """Run this command in so many processes of its own and wait for all.

    They do not depend on each other: one that dies leaves its shard to the rest. VisagistError where shards are left.
    """
    threads = str(max(1, (os.cpu_count() or 1) // number))
    shared = child_environment({"OMP_NUM_THREADS": threads, **os.environ, "WORLD_SIZE": str(number + 1)})
    command = python_command("-m", "visagist", *sys.argv[1:])
    processes: list[subprocess.Popen[bytes]] = []
    before = signal.signal(signal.SIGTERM, _interrupted)
    try:
        for place in range(number):
            environment = {**shared, "RANK": str(place + 1), "LOCAL_RANK": str(place)}
            processes.append(subprocess.Popen(command, env=environment))
        statuses = [process.wait() for process in processes]
    finally:
        _end(processes)
        signal.signal(signal.SIGTERM, before)
    for status in statuses:
        if status:
            say(f"! a process ended with {status}")
    left = sum(ledger.failed(shard) is None and not ledger.finished(shard) for shard in shards)
    if left:
        raise VisagistError(f"{left} shards are left as processes ended before their time: run the same command again")


def _interrupted(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End those that still run; what they were at is done anew by the next run."""
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
def watching(ledger: Ledger, shards: Sequence[Shard]) -> Iterator[None]:
    """A bar on stderr over the pictures of all shards, whoever edits them, until the block ends."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    columns = (
        text_column("editing"),
        BarColumn(),
        TaskProgressColumn(),
        text_column("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    ended = threading.Event()
    with Progress(*columns, console=PlainConsole(stderr=True)) as bar:
        watcher = threading.Thread(target=_watch, args=(ledger, shards, bar, ended), name="visagist-bulk-bar", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join(_ENDING_SECONDS if sys.exc_info()[0] is None else _LOOK_SECONDS)


def _watch(ledger: Ledger, shards: Sequence[Shard], bar: Any, ended: threading.Event) -> None:
    task = bar.add_task("", total=None, rate="")
    total = _count(ledger, shards, ended)
    started, at_start = time.monotonic(), None
    waiting, done = list(shards), 0
    while True:
        last = ended.is_set()
        told = [(shard, ledger.told(shard)) for shard in waiting]
        waiting = [shard for shard, one in told if one is None]
        done += sum(one["pictures"] for _, one in told if one is not None)
        at_work = ledger.under_way()
        now = done + sum(one["pictures"] for one in at_work)
        at_start = now if at_start is None else at_start
        processes = max(1, len({one["process"] for one in at_work}))
        rate = max(0, now - at_start) / max(time.monotonic() - started, 1e-3)
        bar.update(task, completed=now, total=total, rate=f"{rate:.1f} photos/s, {processes} × {rate / processes:.2f}")
        if last:
            return
        ended.wait(_LOOK_SECONDS)


def _count(ledger: Ledger, shards: Sequence[Shard], ended: threading.Event) -> int | None:
    """How many pictures there are, by what was told of finished shards and the headers of the others."""
    total = 0
    for shard in shards:
        if ended.is_set():
            return None
        try:
            told = ledger.told(shard)
            total += shard.count() if told is None else told["pictures"]
        except DamagedShardError:
            pass  # is told of by whoever edits it
    return total
