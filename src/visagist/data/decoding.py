"""Decode the pictures of a catalogue in threads, in order, with progress.

Threads, not processes: Pillow lets go of the interpreter while it decodes and resizes (measured 1.9× on two cores), and
threads need no guarded main module and no fork beside torch's own threads.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from visagist.data.catalogue import Catalogue
from visagist.data.crops import BadImageError, Box, decode_face, encode_face
from visagist.progress import ProgressLike, progress_of

Picture = Path | bytes | NDArray[np.uint8]
In = TypeVar("In")
Out = TypeVar("Out")

_BATCH = 16
_AHEAD = 4
_BYTES_AHEAD = 128 << 20


def decode_pictures(
    catalogue: Catalogue, crop: str, image_size: int, encoding: str, quality: int, progress: ProgressLike
) -> Generator[tuple[bytes, Box | None] | str, None, None]:
    """Yield for each picture in order its encoded face and the box it came from, or the reason why it has none."""

    def decode(picture: Picture) -> tuple[bytes, Box | None] | str:
        try:
            pixels, box = (picture, None) if isinstance(picture, np.ndarray) else decode_face(picture, crop, image_size)
        except BadImageError as reason:
            return str(reason)
        return encode_face(pixels, encoding, quality), box

    with progress_of(progress) as shown:
        shown.stage(f"packing {catalogue.source}", len(catalogue.files), "images")
        for outcome in map_in_threads(decode, catalogue.pictures()):
            shown.advance()
            yield outcome
        shown.finish()


def map_in_threads(
    function: Callable[[In], Out], items: Iterable[In], workers: int | None = None
) -> Generator[Out, None, None]:
    """Yield `function` of each item, in order, computed by `workers` threads (one a core by default).

    Threads work a few batches ahead; of items that are bytes they hold at most `_BYTES_AHEAD` and one item more.
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
    """Take the next items, at most `_BATCH` and `most` bytes and one item, and count their bytes."""
    batch: list[In] = []
    size = 0
    for item in islice(items, _BATCH):
        batch.append(item)
        size += len(item) if isinstance(item, bytes) else 0
        if size > most:
            break
    return batch, size


def num_workers() -> int:
    """The number of decoding threads: $VISAGIST_WORKERS, else the cores that this process may use."""
    asked = os.environ.get("VISAGIST_WORKERS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
