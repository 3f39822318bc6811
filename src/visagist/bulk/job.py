"""Edit millions of photographs shard by shard, in any number of processes, each picture as `visagist edit` does.

    find_shards -> shards --each claimed by one process--> edit_shard --written whole, entered in the ledger--> next shard

Photographs are edited one by one: most of their time goes into finding faces, and a batch is not bit for bit the same.
Aligned faces, which cost little but the network's time, pass it together.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Literal

import torch

from visagist.bulk.ledger import PROGRESS_SECONDS, Ledger
from visagist.bulk.samples import DamagedShardError, Sample
from visagist.bulk.shards import Shard, written_name
from visagist.bulk.writers import EditedSample, UnwritableError, Writer, open_writer
from visagist.data.columns import WRITE_BYTES
from visagist.editing.photo_edit import FaceEditor
from visagist.editing.request import Edited, EditRequest, Outcome, edit_aligned, edit_picture, failure
from visagist.errors import VisagistError
from visagist.photos.photo import PhotoFile, read_photo
from visagist.progress import Progress

BATCH = 64
POLL_SECONDS = 1.0
_MOST_BYTES, _MOST_PIXELS = 256 << 20, 32_000_000  # of what waits in memory to pass the network together
_UNEXPECTED_IN_A_ROW = 2


@dataclass(frozen=True)
class BulkConfig:
    """What is requested of a bulk job.

    to        the kind of the output's shards
    failures  whether a picture that cannot be edited is kept as it is or dropped
    batch     how many aligned faces pass the network together
    """

    request: EditRequest
    to: str
    failures: Literal["keep", "drop"] = "keep"
    batch: int = BATCH


def edit_shards(
    editor: FaceEditor, shards: Sequence[Shard], config: BulkConfig, ledger: Ledger, progress: Progress
) -> None:
    """Edit every shard that is neither finished nor claimed by another process; return when none is left.

    A shard that cannot be read is reported and passed over, and so is one with an unexpected error; two of those in a row
    are raised. VisagistError where results cannot be written.
    """
    waiting, unexpected = list(shards), 0
    while waiting:
        left = []
        for shard in waiting:
            if _settled(ledger, shard):
                continue
            with ledger.claim(shard) as claimed:
                if not claimed:
                    left.append(shard)
                elif not _settled(ledger, shard):
                    try:
                        edit_shard(editor, shard, config, ledger)
                        unexpected = 0
                    except DamagedShardError as error:
                        ledger.fail(shard, str(error))
                        progress.message(f"! {shard.name}: {error}")
                    except (VisagistError, KeyboardInterrupt):
                        raise
                    except Exception as error:  # one bad shard must not stop a job that runs for days
                        ledger.fail(shard, traceback.format_exc())
                        progress.message(f"! {shard.name}: {type(error).__name__}: {error}")
                        unexpected += 1
                        if unexpected == _UNEXPECTED_IN_A_ROW:
                            raise
        if len(left) == len(waiting):
            time.sleep(POLL_SECONDS)
        waiting = left


def _settled(ledger: Ledger, shard: Shard) -> bool:
    return ledger.failure(shard) is not None or ledger.is_finished(shard)


def edit_shard(editor: FaceEditor, shard: Shard, config: BulkConfig, ledger: Ledger) -> None:
    """Edit one claimed shard from its start; its output appears when it is whole."""
    started, cpu_started, reported = time.perf_counter(), time.process_time(), 0.0
    fingerprint, counts, faces = shard.fingerprint(), Counter[str](), 0
    with open_writer(shard, config.to, ledger.out) as writer:
        for window in _windows(shard.samples(), config.batch):
            for edited in (_add(writer, sample, config) for sample in edit_samples(editor, window, config)):
                if not edited.sample.unmatched:
                    counts[edited.account["outcome"]] += 1
                    faces += edited.account.get("faces", 0)
            if time.perf_counter() - reported > PROGRESS_SECONDS:
                reported = time.perf_counter()
                ledger.report(shard, counts.total())
    ledger.finish(
        shard,
        fingerprint,
        {
            "pictures": counts.total(), "faces": faces, "outcomes": {name.value: counts[name] for name in Outcome},
            "seconds": round(time.perf_counter() - started, 3),
            "cpu_seconds": round(time.process_time() - cpu_started, 3),
            "threads": torch.get_num_threads(), **({"files": writer.files} if writer.files else {}),
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
        edited = _unedited(replace(edited.sample, picture=None, members=(), row=None), error)
        writer.add(edited)
    return edited


def _windows(samples: Iterable[Sample], most: int) -> Iterator[list[Sample]]:
    """Consecutive samples, at most `most`, and no more than memory should hold."""
    window: list[Sample] = []
    held = 0
    for sample in samples:
        window.append(sample)
        held += len(sample.picture or b"") + sum(len(member.data) for member in sample.members)
        held += sample.row.nbytes if sample.row else 0
        if len(window) == most or held > _MOST_BYTES:
            yield window
            window, held = [], 0
    if window:
        yield window


def edit_samples(editor: FaceEditor, samples: Sequence[Sample], config: BulkConfig) -> list[EditedSample]:
    """Edit samples; each comes out in its place, edited, or as it was with the reason."""
    done: dict[int, EditedSample] = {}
    aligned: dict[int, PhotoFile] = {}
    for index, sample in enumerate(samples):
        if sample.unmatched:
            done[index] = EditedSample(sample, "", None, {})
            continue
        try:
            photo = _read(sample)
        except (VisagistError, MemoryError) as error:
            done[index] = _unedited(sample, error, Outcome.UNREADABLE)
            continue
        if config.request.takes_as_aligned(photo, editor):
            aligned[index] = photo
            if sum(photo.size[0] * photo.size[1] for photo in aligned.values()) > _MOST_PIXELS:
                done |= _edit_aligned_faces(editor, samples, aligned, config)
                aligned = {}
        else:
            done[index] = _edit_photograph(editor, sample, photo, config.request)
    done |= _edit_aligned_faces(editor, samples, aligned, config)
    return [done[index] for index in range(len(samples))]


def _read(sample: Sample) -> PhotoFile:
    if not sample.picture:
        paths = sample.row is not None and sample.name
        raise VisagistError(f"it holds a path, not a picture: {WRITE_BYTES}" if paths else "it has no picture")
    return read_photo(sample.picture, PurePosixPath(sample.name or sample.key).name)


def _edit_photograph(editor: FaceEditor, sample: Sample, photo: PhotoFile, request: EditRequest) -> EditedSample:
    try:
        return _encode(editor, sample, edit_picture(editor, photo, request))
    except (VisagistError, MemoryError) as error:
        return _unedited(sample, error, form=photo.format)


def _edit_aligned_faces(
    editor: FaceEditor, samples: Sequence[Sample], photos: Mapping[int, PhotoFile], config: BulkConfig
) -> dict[int, EditedSample]:
    """Pass pictures that are one aligned face each through the network together."""
    done = {}
    edits = edit_aligned(editor, list(photos.values()), config.request, config.batch)
    for index, edited in zip(photos, edits, strict=True):
        try:
            done[index] = _encode(editor, samples[index], edited)
        except (VisagistError, MemoryError) as error:
            done[index] = _unedited(samples[index], error, form=edited.source.format)
    return done


def _encode(editor: FaceEditor, sample: Sample, edited: Edited) -> EditedSample:
    """Encode an edited picture, with its account; VisagistError where it has no name or no form."""
    name = _name(sample, edited.source)
    data, record = edited.encode(PurePosixPath(name).suffix)
    account: dict[str, Any] = {
        "outcome": record.outcome, "model": editor.name, "set": dict(edited.request.strengths), "mode": edited.mode
    }  # fmt: skip
    if record.aligned:
        account |= {"aligned": True, "faces": record.faces}
    else:
        account |= {
            "faces": record.faces, "others": record.others, "boxes": record.boxes,
            "before": _rounded(record.before), "after": _rounded(record.after), "by": record.by,
        }  # fmt: skip
    return EditedSample(sample, name, data, {**account, "warnings": record.warnings})


def _name(sample: Sample, photo: PhotoFile) -> str:
    """The name of the edited picture; VisagistError where another member of its sample has this name."""
    name = written_name(sample.name or sample.key, photo.format)
    if any(member.info.name == name for index, member in enumerate(sample.members) if index != sample.picture_index):
        raise VisagistError(f"the edited picture would be called {name}, as another member is: rename that one")
    return name


def _unedited(
    sample: Sample, error: Exception, outcome: Outcome = Outcome.FAILED, form: str | None = None
) -> EditedSample:
    """Keep a sample as it was, with the reason; a picture without a name is named after its format, where it is known."""
    record = failure(error, outcome)
    outcome = record.outcome
    reason = outcome.value if outcome is Outcome.NO_FACE else f"{outcome}: {record.reason}"
    default = f"{sample.key}.bin" if form is None else written_name(sample.key, form)
    return EditedSample(sample, sample.name or default, sample.picture, {"outcome": outcome, "reason": reason})


def _rounded(scores: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    return {name: [round(score, 4) for score in column] for name, column in scores.items()}
