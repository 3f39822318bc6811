"""A pool of processes of one machine that edit shards; one that dies is replaced, and its shard is tried again."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Literal

import numpy as np

from visagist.boundary.python_path import safe_children
from visagist.bulk.editing import BulkConfig, in_precision
from visagist.bulk.job import ATTEMPTS, Attempt, End, Report, attempt
from visagist.bulk.ledger import Ledger
from visagist.bulk.shards import Shard
from visagist.editing.request import EditRequest
from visagist.errors import VisagistError, nearest
from visagist.processes import GRACE_SECONDS, handle_signals
from visagist.runtime.engine import limit_threads

PRECISIONS = ("auto", "fp32", "bf16")
_DRAWN = 32  # faces that say whether bf16 is near enough
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Work:
    """All that a process needs to edit shards.

    model   a shipped model's name, a folder or hub:owner/name; None: the best shipped ones for the attributes
    threads of the networks; None leaves them as they are
    """

    model: str | None
    device: str
    config: BulkConfig
    ledger: Ledger
    threads: int | None = None

    def load_editor(self) -> Any:
        """The model on its device."""
        if self.threads is not None:
            limit_threads(self.threads)
        return open_editor(self.model, list(self.config.request.strengths), self.device)


def open_editor(model: str | None, attributes: Sequence[str], device: str) -> Any:
    """The model of this name, or the best shipped ones for the attributes."""
    from visagist.editing.chains.editor_chain import load_best
    from visagist.editing.editor import Editor

    return load_best(attributes, device) if model is None else Editor.from_pretrained(model, device)


def choose_precision(editor: Any, request: EditRequest, asked: str) -> Literal["fp32", "bf16"]:
    """The precision in which aligned faces are edited; VisagistError for one that is not known or cannot be had.

    `auto` is bf16, which takes half of the time, where the processor computes in it and it moves no pixel of drawn faces by
    more than one level.
    """
    if asked not in PRECISIONS:
        raise VisagistError(f"no precision {asked!r}: {nearest(asked, PRECISIONS)}")
    if asked == "bf16" and editor.runner != "torch":
        raise VisagistError("bf16 needs torch: pip install torch, or leave --precision out")
    if asked == "bf16":
        return "bf16"
    if asked == "fp32" or request.aligned is False or editor.runner != "torch":
        return "fp32"
    import torch

    from visagist.data.drawn.synthetic import SyntheticFaces
    from visagist.training.precision import has_bf16

    if not has_bf16(torch.device("cpu")):
        return "fp32"
    drawn = SyntheticFaces(_DRAWN, image_size=editor.image_size)
    faces = np.stack([drawn.image(index) for index in range(_DRAWN)])
    results = []
    for precision in ("fp32", "bf16"):
        with in_precision(precision):
            results.append(editor.edit(faces, aligned=True, **request.strengths).astype(int))
    return "bf16" if abs(results[0] - results[1]).max() <= 1 else "fp32"


class _Worker:
    """A process, and the shard that it has in hand."""

    def __init__(self, work: Work) -> None:
        self.pipe, theirs = _SPAWN.Pipe()
        self.process: SpawnProcess = _SPAWN.Process(target=_serve, args=(theirs, work), daemon=True)
        with safe_children():
            self.process.start()
        theirs.close()
        self.shard: Shard | None = None

    def give(self, shard: Shard) -> None:
        self.shard = shard
        with contextlib.suppress(OSError):  # where it has died, which the pipe says when it is read
            self.pipe.send(shard)

    def end(self) -> None:
        self.process.terminate()
        self.process.join(GRACE_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


class Pool:
    """An engine whose attempts are made by processes; made by `open_pool`."""

    attempts = ATTEMPTS

    def __init__(self, work: Work, number: int) -> None:
        self.work = work
        self.workers: list[_Worker] = []
        for rank in range(number):
            self.workers.append(_Worker(self._of_rank(rank)))

    def _of_rank(self, rank: int) -> Work:
        """CUDA devices are dealt out by turns, and may be fewer than processes."""
        if self.work.device != "cuda":
            return self.work
        import torch

        return replace(self.work, device=f"cuda:{rank % torch.cuda.device_count()}")

    def run(self, queue: deque[Shard], report: Report) -> Iterator[tuple[Shard, Attempt]]:
        while True:
            for worker in self.workers:
                if worker.shard is None and queue:
                    worker.give(queue.popleft())
            busy = {worker.pipe: worker for worker in self.workers if worker.shard is not None}
            if not busy:
                return
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                shard = worker.shard
                assert shard is not None
                try:
                    message = worker.pipe.recv()
                except (EOFError, OSError):
                    yield shard, self._replace(worker)
                    continue
                if isinstance(message, Attempt):
                    worker.shard = None
                    yield shard, message
                else:
                    report(*message)

    def _replace(self, worker: _Worker) -> Attempt:
        """Start another process in the place of one that died; how its attempt ended."""
        worker.end()
        self.workers[self.workers.index(worker)] = _Worker(self._of_rank(self.workers.index(worker)))
        return Attempt(End.INTERRUPTED, reason=f"the process that edited it ended with {worker.process.exitcode}")

    def end(self) -> None:
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            worker.end()


@contextmanager
def open_pool(work: Work, number: int) -> Iterator[Pool]:
    """So many processes, which end with the block. Each has its share of the cores, unless OMP_NUM_THREADS is set."""
    threads = int(os.environ.get("OMP_NUM_THREADS") or max(1, (os.cpu_count() or 1) // number))
    with handle_signals(_interrupt, signal.SIGTERM):
        pool = Pool(replace(work, threads=threads), number)
        try:
            yield pool
        finally:
            pool.end()


def _interrupt(number: int) -> None:
    sys.exit(128 + number)


def _serve(pipe: Connection, work: Work) -> None:
    """Edit the shards that come through the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal's Ctrl-C the first process hears, and ends this one
    signal.signal(signal.SIGTERM, lambda number, frame: _interrupt(number))
    try:
        editor = work.load_editor()
    except VisagistError as error:
        pipe.recv()
        pipe.send(Attempt(End.FATAL, reason=str(error)))
        return
    try:
        while True:
            shard = pipe.recv()
            result = attempt(editor, shard, work.config, work.ledger, lambda *message: pipe.send(message))
            pipe.send(replace(result, error=None))  # which need not fit through a pipe
    except (EOFError, BrokenPipeError):  # whoever started this one is gone
        return
