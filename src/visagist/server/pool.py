"""The workers of a server: a bounded queue before them, a deadline for each job, and a new worker for one that died."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from visagist.boundary.python_path import child_environment, python_command
from visagist.errors import VisagistError
from visagist.processes import GRACE_SECONDS
from visagist.server.channel import Message, pack, read_async
from visagist.server.settings import ServerSettings
from visagist.server.telemetry import Metrics

TRIES = 2  # of a job in the hands of workers that died
RETRY_SECONDS = 1
_SLOWEST_RESTART = 30.0
_log = logging.getLogger("visagist.server")


class BusyError(Exception):
    """The queue is full, or a job waited too long, or its workers died: come again later."""


class TooSlowError(Exception):
    """A job took longer than a request may."""


class TaskError(Exception):
    """A worker refused a job; `kind` is refused, no_face, gone or fault."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(eq=False)
class Job:
    """One task for a worker: any one, or the one that holds a photograph."""

    number: int
    head: dict[str, Any]
    blobs: Sequence[bytes]
    answer: asyncio.Future[Message]
    worker: int | None = None
    tries: int = 0

    @property
    def alone(self) -> bool:
        """Whether it goes to a worker that has nothing else in hands, as it may be what killed the one before."""
        return self.tries > 0


@dataclass(eq=False)
class Worker:
    """A process, and what it has in hands."""

    index: int
    process: asyncio.subprocess.Process
    writer: asyncio.StreamWriter
    jobs: dict[int, Job] = field(default_factory=dict)
    is_ready: bool = False

    def takes(self, job: Job, threads: int) -> bool:
        if not self.is_ready or (job.worker is not None and job.worker != self.index):
            return False
        if job.alone or any(other.alone for other in self.jobs.values()):
            return not self.jobs
        return len(self.jobs) < threads


class Pool:
    """`settings.workers` processes. `start` returns when the first is ready, and says in `models` what is served."""

    def __init__(self, settings: ServerSettings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.models: dict[str, Any] = {"models": [], "best": {}, "modes": []}
        self.workers: dict[int, Worker] = {}
        self._waiting: deque[Job] = deque()
        self._numbers = count()
        self._keepers: list[asyncio.Task[None]] = []
        self._closing = False
        self._first: asyncio.Future[None] | None = None
        self.spawned = asyncio.Event()  # the first worker has been started
        metrics.watch(
            lambda: len(self._waiting),
            lambda: sum(len(worker.jobs) for worker in self.workers.values()),
            lambda: sum(worker.is_ready for worker in self.workers.values()),
        )

    @property
    def is_ready(self) -> bool:
        """Whether a worker takes jobs."""
        return not self._closing and any(worker.is_ready for worker in self.workers.values())

    async def start(self) -> None:
        """Start the workers. VisagistError where they cannot load what they are to serve."""
        first = self._first = asyncio.get_running_loop().create_future()
        self._keepers = [asyncio.create_task(self._keep(index, first)) for index in range(self.settings.workers)]
        await first

    async def close(self) -> None:
        """End the workers, which have nothing in hands any more when the last request is answered."""
        self._closing = True
        workers = list(self.workers.values())
        for worker in workers:
            worker.writer.close()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for worker in workers:
            try:
                await asyncio.wait_for(worker.process.wait(), GRACE_SECONDS)
            except TimeoutError:
                worker.process.kill()
                await worker.process.wait()

    async def run(
        self, task: str, given: Mapping[str, Any], blobs: Sequence[bytes] = (), *, seconds: float, worker: int | None = None
    ) -> Message:
        """Have a worker do a task. BusyError, TooSlowError and TaskError say why there is no answer."""
        if worker is not None and worker not in range(self.settings.workers):
            raise TaskError("gone", "this photograph is not open any more: open it again")
        number = next(self._numbers)
        head = {"id": number, "task": task, "given": dict(given)}
        job = Job(number, head, blobs, asyncio.get_running_loop().create_future(), worker)
        self._waiting.append(job)
        self._dispatch()
        if job in self._waiting and len(self._waiting) > self.settings.queue:
            self._waiting.remove(job)
            raise BusyError("too many requests wait")
        try:
            return await asyncio.wait_for(job.answer, max(seconds, 0.001))
        except TimeoutError:
            if job in self._waiting:
                self._waiting.remove(job)
                raise BusyError("no worker was free in time") from None
            self._watch_stuck(job)
            raise TooSlowError(f"it took longer than the {self.settings.seconds:g} seconds of a request") from None

    def _dispatch(self) -> None:
        """Hand waiting jobs to workers, the oldest first, to the one with the least in hands."""
        for job in list(self._waiting):
            if job.answer.done():  # nobody waits for it any more
                self._waiting.remove(job)
                continue
            able = [worker for worker in self.workers.values() if worker.takes(job, self.settings.threads)]
            if not able:
                continue
            worker = min(able, key=lambda w: len(w.jobs))
            self._waiting.remove(job)
            worker.jobs[job.number] = job
            worker.writer.writelines(pack(job.head, job.blobs))

    def _watch_stuck(self, job: Job) -> None:
        """Kill the worker that still has this job in hands after as long again, as nothing else ends it."""

        def kill() -> None:
            for worker in self.workers.values():
                if job.number in worker.jobs:
                    _log.error("a task takes too long: its worker is killed", extra={"facts": {"worker": worker.index}})
                    worker.process.kill()

        asyncio.get_running_loop().call_later(self.settings.seconds, kill)

    async def _keep(self, index: int, first: asyncio.Future[None]) -> None:
        """Keep a worker of this number running until the server closes."""
        pause = 0.0
        if index:
            await asyncio.wait([first])  # so that the first has the processor to itself until it is ready
            if first.exception() is not None:
                return
        while not self._closing:
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, 0.5), _SLOWEST_RESTART)
            try:
                worker, reader = await self._spawn(index)
            except OSError as error:  # no memory, or no processes, for now
                _log.error("a worker cannot be started", extra={"facts": {"worker": index, "reason": str(error)}})
                continue
            try:
                await self._listen(worker, reader)
            except (asyncio.IncompleteReadError, OSError):
                pass  # it has gone
            except Exception:
                _log.exception("a worker's message makes no sense: it is replaced")
            pause = 0.0 if worker.is_ready else pause
            await self._bury(worker)

    async def _spawn(self, index: int) -> tuple[Worker, asyncio.StreamReader]:
        ours, theirs = socket.socketpair()
        with theirs:
            threads = str(max(1, (os.cpu_count() or 1) // self.settings.workers))
            environment = child_environment({"OMP_NUM_THREADS": threads, **os.environ})
            command = python_command(
                "-m", "visagist.server.worker", str(theirs.fileno()), json.dumps(self.settings.for_worker())
            )
            process = await asyncio.create_subprocess_exec(
                *command, pass_fds=[theirs.fileno()], env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr
            )
        reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
        worker = self.workers[index] = Worker(index, process, writer)
        self.spawned.set()
        return worker, reader

    async def _listen(self, worker: Worker, reader: asyncio.StreamReader) -> None:
        while True:
            message = await read_async(reader)
            if "fatal" in message.head:
                self._fail(message.head["fatal"])
            elif "ready" in message.head:
                worker.is_ready, self.models = True, message.head["ready"]
                self._settle(None)
            else:
                self._take(worker, message)
            self._dispatch()

    def _take(self, worker: Worker, message: Message) -> None:
        job = worker.jobs.pop(message.head["id"])
        self.metrics.task_seconds.labels(job.head["task"]).observe(message.head["seconds"])
        if job.answer.done():
            return  # nobody waits for it any more
        error = message.head.get("error")
        if error is None:
            job.answer.set_result(Message(message.head["value"] | {"worker": worker.index}, message.blobs))
        else:
            job.answer.set_exception(TaskError(error["kind"], error["message"]))

    async def _bury(self, worker: Worker) -> None:
        """See to what a worker that has gone had in hands: try it once more, or answer it."""
        was_ready, worker.is_ready = worker.is_ready, False
        worker.writer.close()
        with suppress(ProcessLookupError):
            worker.process.kill()
        status = await worker.process.wait()
        self.workers.pop(worker.index, None)
        self.metrics.restarts.inc()
        facts = {"worker": worker.index, "status": status, "jobs": len(worker.jobs)}
        _log.error("a worker has gone", extra={"facts": facts})
        if not was_ready:
            self._fail(f"a worker ended with status {status} before it was ready; what it said stands above")
        for job in reversed(worker.jobs.values()):
            job.tries += 1
            if job.answer.done():
                continue
            if job.worker is not None:
                job.answer.set_exception(TaskError("gone", "this photograph is not open any more: open it again"))
            elif job.tries >= TRIES:
                job.answer.set_exception(BusyError("the worker that had it has gone, twice"))
            else:
                self._waiting.appendleft(job)
        for job in [job for job in self._waiting if job.worker == worker.index]:
            self._waiting.remove(job)
            job.answer.set_exception(TaskError("gone", "this photograph is not open any more: open it again"))

    def _settle(self, error: VisagistError | None) -> None:
        if self._first is None or self._first.done():
            return
        if error is None:
            self._first.set_result(None)
        else:
            self._first.set_exception(error)

    def _fail(self, reason: str) -> None:
        self._settle(VisagistError(reason))
