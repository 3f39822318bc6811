"""Actors of a Ray cluster that edit shards: Ray places them, starts them again where they died, and adds nodes for them."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from visagist.boundary.python_path import PACKAGE_ROOT
from visagist.bulk.job import Attempt, End, Report, attempt
from visagist.bulk.shards import Shard
from visagist.bulk.workers import Work
from visagist.errors import VisagistError, first_line

LOCAL = "local"
POLL_SECONDS = 2.0
WAIT_SECONDS = 60.0
STARTS = 3
_ADDRESS = re.compile(r"local|auto|ray://\S+|[\w.-]+:\d+")


@dataclass(frozen=True)
class Resources:
    """What the actors take of a cluster.

    cpus, gpus   of each actor
    least, most  actors; at first there are the least, and more while shards wait; most is None for one on each `cpus`
    """

    cpus: float = 1.0
    gpus: float = 0.0
    least: int = 1
    most: int | None = None


def import_ray() -> Any:
    """The package; VisagistError that says how to install it."""
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise VisagistError("Ray is not installed: pip install 'visagist[ray]'") from error


def check_address(address: str) -> None:
    """VisagistError for what is no address of a cluster."""
    if not _ADDRESS.fullmatch(address):
        raise VisagistError(f"--ray {address} is no cluster: give local, auto, host:port or ray://host:port, or nothing")


def check_places(resources: Resources, there: Mapping[str, float]) -> None:
    """VisagistError for actors none of which finds a place on a machine with these resources."""
    for name, asked in (("CPU", resources.cpus), ("GPU", resources.gpus)):
        if asked > there.get(name, 0):
            raise VisagistError(
                f"--ray-{name.lower()}s {asked:g} is more than this machine has, {there.get(name, 0):g}: ask for fewer, or "
                "name a cluster with --ray"
            )


@contextmanager
def open_cluster(
    work: Work, address: str, resources: Resources, tell: Callable[[str], None] = lambda line: None
) -> Iterator[Cluster]:
    """Actors on the cluster at an address (`auto`: the one that this machine is in), or on one of this machine (`local`).

    They end with the block, and so does a cluster that was started for it. `tell` hears of actors that find no place.
    VisagistError where there is no such cluster, or where none can find one.
    """
    check_address(address)
    ray = import_ray()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    _connect(ray, address)
    try:
        if address == LOCAL:
            check_places(resources, ray.cluster_resources())
        cluster = Cluster(ray, _absolute(work), resources, tell)
        try:
            yield cluster
        finally:
            cluster.end()
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    """Reach a cluster, or start one here: that is tried again, as Ray gives it half a minute, which may be too little."""
    own = {"include_dashboard": False, "log_to_driver": False} if address == LOCAL else {}
    for left in reversed(range(STARTS if address == LOCAL else 1)):
        try:
            with contextlib.chdir(PACKAGE_ROOT):  # its workers look for modules where it is started: not among photographs
                ray.init(address=address, logging_level="ERROR", namespace="visagist", **own)
            return
        except Exception as error:  # connection errors of several kinds
            ray.shutdown()
            if not left:
                raise VisagistError(f"cannot reach the Ray cluster {address}: {first_line(error)}; check it") from error


def _absolute(work: Work) -> Work:
    """Paths that mean the same wherever a process is started."""
    out = work.ledger.out
    model = os.path.abspath(work.model) if work.model is not None and Path(work.model).is_dir() else work.model
    ledger = replace(work.ledger, out=Path(os.path.abspath(out)) if isinstance(out, Path) else out)
    return replace(work, model=model, ledger=ledger)


class ShardEditor:
    """What an actor does: keep an editor, and edit a shard at a time."""

    def __init__(self, work: Work) -> None:
        self.work, self.editor, self.pictures = work, None, 0

    def load(self) -> str:
        """Load the editor; why it cannot be loaded, or nothing."""
        try:
            self.editor = self.work.load_editor()
        except VisagistError as error:
            return str(error)
        return ""

    def edit(self, shard: Shard) -> Attempt:
        result = attempt(self.editor, shard, self.work.config, self.work.ledger, self._report)  # type: ignore[arg-type]
        return replace(result, error=None)  # which need not fit through a pipe

    def _report(self, name: str, pictures: int) -> None:
        self.pictures = pictures

    def report(self) -> int:
        """How many pictures of its shard are done."""
        return self.pictures


class Cluster:
    """An engine whose attempts are tasks of Ray; made by `open_cluster`."""

    attempts = 10  # at a shard, as nodes of a cluster come and go

    def __init__(self, ray: Any, work: Work, resources: Resources, tell: Callable[[str], None]) -> None:
        self.ray, self.resources, self.tell = ray, resources, tell
        threads = max(1, int(resources.cpus))
        device = "cuda" if resources.gpus and work.device == "auto" else work.device
        self.work = replace(work, threads=threads, device=device)  # not put: an actor that starts again must still find it
        self.kind = ray.remote(
            num_cpus=resources.cpus, num_gpus=resources.gpus, max_restarts=-1, scheduling_strategy="SPREAD",
            concurrency_groups={"watch": 1},
        )(ShardEditor)  # fmt: skip
        self.starting: dict[Any, Any] = {}  # a reference to its loading, and the actor
        self.busy: dict[Any, tuple[Any, Shard]] = {}
        self.idle: list[Any] = []
        self.polled = self.told = 0.0

    def run(self, queue: deque[Shard], report: Report) -> Iterator[tuple[Shard, Attempt]]:
        self.told = time.monotonic()
        while queue or self.busy:
            self._grow(len(queue))
            self._tell_of_waiting()
            while queue and self.idle:
                actor, shard = self.idle.pop(), queue.popleft()
                self.busy[actor.edit.remote(_with_absolute_paths(shard))] = (actor, shard)
            references = [*self.busy, *self.starting]
            ended, _ = self.ray.wait(references, num_returns=1, timeout=POLL_SECONDS)
            for reference in ended:
                if reference in self.starting:
                    self._started(reference)
                else:
                    yield self._result(reference)
            self._report(report)

    def _grow(self, waiting: int) -> None:
        """Ask for more actors while shards wait: the least at first, then twice as many as there are."""
        at_work = len(self.busy) + len(self.idle)
        most = self.resources.most or max(1, int(self.ray.cluster_resources().get("CPU", 1) // self.resources.cpus))
        target = min(max(self.resources.least, 2 * at_work), most, waiting + len(self.busy))
        for _ in range(target - at_work - len(self.starting)):
            actor = self.kind.remote(self.work)
            self.starting[actor.load.remote()] = actor

    def _tell_of_waiting(self) -> None:
        """Say so where no actor has been at work for a minute."""
        if self.busy or self.idle:
            self.told = time.monotonic()
        elif time.monotonic() - self.told > WAIT_SECONDS:
            self.told = time.monotonic()
            there = self.ray.cluster_resources()
            self.tell(
                f"! no actor is at work: each asks for {self.resources.cpus:g} CPUs and {self.resources.gpus:g} GPUs, "
                f"and the cluster has {there.get('CPU', 0):g} and {there.get('GPU', 0):g} in all"
            )

    def _started(self, reference: Any) -> None:
        actor = self.starting.pop(reference)
        try:
            fault = self.ray.get(reference)
        except self.ray.exceptions.ActorDiedError:
            return  # for good; another takes its place
        except self.ray.exceptions.RayError:
            time.sleep(0.5)
            self.starting[actor.load.remote()] = actor
            return
        if fault:
            raise VisagistError(fault)
        self.idle.append(actor)

    def _result(self, reference: Any) -> tuple[Shard, Attempt]:
        actor, shard = self.busy.pop(reference)
        try:
            result: Attempt = self.ray.get(reference)
            self.idle.append(actor)
        except self.ray.exceptions.RayError as error:
            self.starting[actor.load.remote()] = actor
            result = Attempt(End.INTERRUPTED, reason=f"its actor is gone: {first_line(error)}")
        return shard, result

    def _report(self, report: Report) -> None:
        """Ask those that are at work how far they are, now and then."""
        if time.monotonic() - self.polled < POLL_SECONDS or not self.busy:
            return
        self.polled = time.monotonic()
        asked = {actor.report.options(concurrency_group="watch").remote(): shard for actor, shard in self.busy.values()}
        answered, _ = self.ray.wait(list(asked), num_returns=len(asked), timeout=POLL_SECONDS / 4)
        for reference in answered:
            with contextlib.suppress(self.ray.exceptions.RayError):  # of one that died, which its task says
                report(asked[reference].name, self.ray.get(reference))

    def end(self) -> None:
        actors = [*self.starting.values(), *(actor for actor, _ in self.busy.values()), *self.idle]
        for actor in actors:
            self.ray.kill(actor)


def _with_absolute_paths(shard: Shard) -> Shard:
    files = ((Path(os.path.abspath(file)) if isinstance(file, Path) else file, name) for file, name in shard.files)
    return replace(shard, files=tuple(files))
