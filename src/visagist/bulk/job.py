"""Edit millions of photographs shard by shard, each picture as `visagist edit` does.

    find_shards -> shards --an engine hands them out--> attempt: samples, edited, written aside, put in place, entered
                                                     <-- finished, damaged, to be tried again, or fatal

An engine decides where attempts are made: in this process, in a pool of processes (`workers.py`) or on a Ray cluster
(`cluster.py`). It takes shards from a queue and says how each ended. What was promised does not depend on it: an attempt may
die at any time, and may be made twice.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

from visagist.bulk.addresses import StorageError
from visagist.bulk.editing import BulkConfig, edit_samples, unedited
from visagist.bulk.ledger import Ledger
from visagist.bulk.samples import DamagedShardError
from visagist.bulk.shards import Shard
from visagist.bulk.writers import EditedSample, UnwritableError, Writer, open_writer
from visagist.editing.photo_edit import FaceEditor
from visagist.editing.request import Outcome
from visagist.errors import VisagistError
from visagist.progress import Progress
from visagist.runtime.engine import network_threads

ATTEMPTS = 3
REPORT_SECONDS = 1.0
NAMED = 10  # pictures of a shard that failed, which its account names
_UNEXPECTED_IN_A_ROW = 2
Report = Callable[[str, int], None]  # takes the name of a shard and how many of its pictures are done


class End(Enum):
    """How an attempt at a shard ended."""

    FINISHED = "finished"
    DAMAGED = "damaged"  # it cannot be read to its end
    INTERRUPTED = "interrupted"  # the process died or the storage failed: another attempt may succeed
    FAULT = "fault"  # an unexpected error
    FATAL = "fatal"  # results cannot be written


@dataclass(frozen=True)
class Attempt:
    """An attempt at a shard that has ended, with its account or the reason."""

    end: End
    account: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    error: BaseException | None = None  # of a fault in this process


class Engine(Protocol):
    """Where attempts are made; at most so many at a shard whose process dies or whose storage fails."""

    attempts: int

    def run(self, queue: deque[Shard], report: Report) -> Iterator[tuple[Shard, Attempt]]:
        """Take shards from the queue, which may be added to meanwhile, until it is empty and all have ended."""


class ThisProcess:
    """Attempts one after the other, here."""

    attempts = ATTEMPTS

    def __init__(self, editor: FaceEditor, config: BulkConfig, ledger: Ledger) -> None:
        self.editor, self.config, self.ledger = editor, config, ledger

    def run(self, queue: deque[Shard], report: Report) -> Iterator[tuple[Shard, Attempt]]:
        while queue:
            shard = queue.popleft()
            yield shard, attempt(self.editor, shard, self.config, self.ledger, report)


class Following(Protocol):
    """Whoever is told how far a job is."""

    def report(self, shard: str, pictures: int) -> None: ...
    def ended(self, shard: Shard, result: Attempt) -> None: ...


def edit_shards(
    engine: Engine, shards: Sequence[Shard], ledger: Ledger, progress: Progress, follower: Following | None = None
) -> None:
    """Edit every shard that is not finished; return when each is finished or has failed.

    A shard that cannot be read is reported and passed over, and so is one with an unexpected error; two of those in a row
    are raised. VisagistError where results cannot be written.
    """
    queue, attempts, unexpected = deque(ledger.unfinished(shards)), Counter[str](), 0
    for shard, result in engine.run(queue, follower.report if follower else lambda name, pictures: None):
        attempts[shard.name] += 1
        if result.end is End.FATAL:
            raise VisagistError(result.reason)
        if result.end is End.INTERRUPTED and attempts[shard.name] < engine.attempts:
            progress.message(f"! {shard.name}: {result.reason}; it is begun anew")
            queue.append(shard)
            continue
        if result.end is not End.FINISHED:
            ledger.fail(shard, result.reason)
            progress.message(f"! {shard.name}: {result.reason.strip().splitlines()[-1]}")
        unexpected = unexpected + 1 if result.end is End.FAULT else 0 if result.end is End.FINISHED else unexpected
        if unexpected == _UNEXPECTED_IN_A_ROW:
            raise result.error or VisagistError(f"two shards in a row failed: {result.reason.strip().splitlines()[-1]}")
        if follower is not None:
            follower.ended(shard, result)


def attempt(editor: FaceEditor, shard: Shard, config: BulkConfig, ledger: Ledger, report: Report) -> Attempt:
    """Edit one shard from its start; what goes wrong is told, not raised."""
    try:
        return Attempt(End.FINISHED, edit_shard(editor, shard, config, ledger, report))
    except StorageError as error:
        return Attempt(End.INTERRUPTED, reason=str(error))
    except DamagedShardError as error:
        return Attempt(End.DAMAGED, reason=str(error))
    except VisagistError as error:
        return Attempt(End.FATAL, reason=str(error))
    except Exception as error:  # one bad shard must not stop a job that runs for days
        return Attempt(End.FAULT, reason=traceback.format_exc(), error=error)


def edit_shard(
    editor: FaceEditor, shard: Shard, config: BulkConfig, ledger: Ledger, report: Report
) -> dict[str, Any]:
    """Edit one shard from its start; its output appears when it is whole, and then its account, which is returned.

    A shard that another attempt has finished meanwhile is left. StorageError where its file changes while it is read.
    """
    shard = shard.fresh()
    if ledger.is_finished(shard):
        return ledger.account(shard) or {}
    ledger.forget(shard)
    started, cpu_started, reported = time.perf_counter(), time.process_time(), 0.0
    fingerprint, counts, faces, failures = shard.fingerprint(), Counter[str](), 0, list[dict[str, str]]()
    with open_writer(shard, config.to, ledger.store) as writer:
        for edited in (_add(writer, edited, config) for edited in edit_samples(editor, shard.samples(), config)):
            if not edited.sample.unmatched:
                counts[edited.account["outcome"]] += 1
                faces += edited.account.get("faces", 0)
            if edited.account.get("outcome") in (Outcome.FAILED, Outcome.UNREADABLE) and len(failures) < NAMED:
                failures.append({"key": edited.sample.key, "reason": edited.account["reason"]})
            if time.perf_counter() - reported > REPORT_SECONDS:
                reported = time.perf_counter()
                report(shard.name, counts.total())
        if shard.fresh().fingerprint() != fingerprint:
            raise StorageError(f"{shard.path} changed while it was read")
    assert writer.written is not None
    return ledger.finish(
        shard,
        fingerprint,
        writer.written,
        {
            "pictures": counts.total(), "faces": faces, "outcomes": {name.value: counts[name] for name in Outcome},
            "seconds": round(time.perf_counter() - started, 3),
            "cpu_seconds": round(time.process_time() - cpu_started, 3),
            "threads": network_threads(), **({"files": writer.files} if writer.files else {}),
            **({"failures": failures} if failures else {}),
        },
    )  # fmt: skip


def _add(writer: Writer, edited: EditedSample, config: BulkConfig) -> EditedSample:
    """Write a sample unless it is to be dropped; one whose files cannot be named counts as failed."""
    keep = config.failures == "keep" or edited.sample.unmatched or edited.account["outcome"] == Outcome.EDITED
    if not keep:
        return edited
    try:
        writer.add(edited)
    except UnwritableError as error:
        edited = unedited(replace(edited.sample, picture=None, members=(), row=None), error)
        writer.add(edited)
    return edited
