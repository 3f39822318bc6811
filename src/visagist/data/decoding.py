"""Decode a catalogue over the cores, in order, with a rate and the time left.

Threads, not processes: Pillow lets go of the interpreter while it decodes and resizes (measured 1.9× on two cores), and
threads need no guarded main module and no fork beside torch's own threads.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from visagist.boundary.terminal import PlainConsole, text_column
from visagist.data.catalogue import Catalogue
from visagist.data.crops import BadImageError, Box, decode_face, encode_face

Picture = Path | bytes | NDArray[np.uint8]
In = TypeVar("In")
Out = TypeVar("Out")

_BATCH = 16
_AHEAD = 4
_BYTES_AHEAD = 128 << 20


def decode_pictures(
    catalogue: Catalogue, crop: str, image_size: int, encoding: str, quality: int, progress: bool
) -> Generator[tuple[bytes, Box | None] | str, None, None]:
    """For each picture in order: its encoded face and the box it came from, or the reason why there is none."""

    def one(picture: Picture) -> tuple[bytes, Box | None] | str:
        try:
            pixels, box = (picture, None) if isinstance(picture, np.ndarray) else decode_face(picture, crop, image_size)
        except BadImageError as reason:
            return str(reason)
        return encode_face(pixels, encoding, quality), box

    total = len(catalogue.files)
    with _bar(f"packing {catalogue.source}", total, progress) as advance:
        for outcome in map_in_threads(one, catalogue.pictures()):
            advance()
            yield outcome


def map_in_threads(
    function: Callable[[In], Out], items: Iterable[In], workers: int | None = None
) -> Generator[Out, None, None]:
    """`function` of each item, in order, over `workers` threads (as many as there are cores).

    A few batches ahead, and of items that are bytes no more than `_BYTES_AHEAD` and one.
    """
    workers = workers or num_workers()
    remaining = iter(items)
    pending: deque[tuple[Future[list[Out]], int]] = deque()
    executor = ThreadPoolExecutor(workers, thread_name_prefix="visagist-decode")
    try:
        while True:
            while len(pending) < workers * _AHEAD and (free := _BYTES_AHEAD - sum(size for _, size in pending)) > 0:
                batch, size = _next_batch(remaining, free // workers)
                if not batch:
                    break
                pending.append((executor.submit(lambda batch: [function(item) for item in batch], batch), size))
                del batch
            if not pending:
                return
            yield from pending.popleft()[0].result()
    finally:
        executor.shutdown(cancel_futures=True)


def _next_batch(items: Iterator[In], most: int) -> tuple[list[In], int]:
    """The next items, at most `_BATCH` and no more bytes than `most` and one item, and how many bytes they are."""
    batch: list[In] = []
    size = 0
    for item in islice(items, _BATCH):
        batch.append(item)
        size += len(item) if isinstance(item, bytes) else 0
        if size > most:
            break
    return batch, size


def num_workers() -> int:
    """Cores this process may use, or $VISAGIST_WORKERS."""
    asked = os.environ.get("VISAGIST_WORKERS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.0f} images/s")


@contextlib.contextmanager
def _bar(what: str, total: int, shown: bool) -> Iterator[Callable[[], None]]:
    columns = (text_column("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=PlainConsole(stderr=True), disable=not shown) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
