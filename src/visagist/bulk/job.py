"""Millions of photographs edited shard by shard, by as many processes as there are, each picture as `visagist edit` does.

    find_shards -> shards --each claimed by one process--> edit_shard --written whole, told in the ledger--> next free shard

Photographs are edited one by one: most of their time goes into finding faces, and a batch is not bit for bit the same.
Aligned faces, which cost little but the network's time, pass it together.
"""

from __future__ import annotations

import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import torch

from visagist.bulk.ledger import PROGRESS_SECONDS, Ledger
from visagist.bulk.samples import DamagedShardError, Sample
from visagist.bulk.shards import Shard, written_name
from visagist.bulk.writers import UnwritableError, Writer, Written, writing
from visagist.data.columns import WRITE_BYTES
from visagist.editing.aligned import edit_aligned_photos
from visagist.editing.photo_edit import edit_photo, is_aligned
from visagist.errors import NoFaceError, VisagistError
from visagist.photos.content_credentials import Signing
from visagist.photos.encode import encode_photo
from visagist.photos.photo import PhotoFile, read_photo

if TYPE_CHECKING:
    from visagist.editing.editor import Editor

EDITED, NO_FACE, UNREADABLE, FAILED = OUTCOMES = ("edited", "no face", "unreadable", "failed")
BATCH = 64
POLL_SECONDS = 1.0
_MOST_BYTES, _MOST_PIXELS = 256 << 20, 32_000_000  # of what waits in memory to pass the network together
_UNEXPECTED_IN_A_ROW = 2


@dataclass(frozen=True)
class BulkConfig:
    """What is asked for, alike for every picture.

    to         the kind of the output's shards
    mode       None: detail for photographs, render for aligned faces
    aligned    every picture is one aligned face; none is looked for
    failures   what becomes of a picture that cannot be edited: it goes on as it is, or is left out
    batch      how many aligned faces pass the network together
    """

    strengths: Mapping[str, float]
    to: str
    mode: str | None = None
    face: str | int = "largest"
    aligned: bool = False
    failures: Literal["keep", "drop"] = "keep"
    strip_metadata: bool = False
    batch: int = BATCH
    signing: Signing | None = field(default=None, repr=False)


def edit_shards(
    editor: Editor, shards: Sequence[Shard], config: BulkConfig, ledger: Ledger, say: Callable[[str], None]
) -> None:
    """Edit every shard that is neither finished nor another process's; return when none is left.

    A shard that cannot be read is told of and passed over, and so is one in which something unexpected happens; where that
    comes twice in a row it is raised. VisagistError where results cannot be written.
    """
    waiting, unexpected = list(shards), 0
    while waiting:
        left = []
        for shard in waiting:
            if _settled(ledger, shard):
                continue
            with ledger.claim(shard) as mine:
                if not mine:
                    left.append(shard)
                elif not _settled(ledger, shard):
                    try:
                        edit_shard(editor, shard, config, ledger)
                        unexpected = 0
                    except DamagedShardError as error:
                        ledger.fail(shard, str(error))
                        say(f"! {shard.name}: {error}")
                    except (VisagistError, KeyboardInterrupt):
                        raise
                    except Exception as error:  # a fault of ours in one shard is told of, and must not end a job of days
                        ledger.fail(shard, traceback.format_exc())
                        say(f"! {shard.name}: {type(error).__name__}: {error}")
                        unexpected += 1
                        if unexpected == _UNEXPECTED_IN_A_ROW:
                            raise
        if len(left) == len(waiting):
            time.sleep(POLL_SECONDS)
        waiting = left


def _settled(ledger: Ledger, shard: Shard) -> bool:
    return ledger.failed(shard) is not None or ledger.finished(shard)


def edit_shard(editor: Editor, shard: Shard, config: BulkConfig, ledger: Ledger) -> None:
    """Edit one shard, which is claimed, from its start; its output is in its place at the end and before is not."""
    started, worked, told = time.perf_counter(), time.process_time(), 0.0
    fingerprint, counts, faces = shard.fingerprint(), Counter[str](), 0
    with writing(shard, config.to, ledger.out) as writer:
        for part in _windows(shard.samples(), config.batch):
            for written in (_add(writer, one, config) for one in edited_samples(editor, part, config)):
                if not written.sample.loose:
                    counts[written.account["outcome"]] += 1
                    faces += written.account.get("faces", 0)
            if time.perf_counter() - told > PROGRESS_SECONDS:
                told = time.perf_counter()
                ledger.progress(shard, counts.total())
    ledger.finish(
        shard,
        fingerprint,
        {
            "pictures": counts.total(), "faces": faces, "outcomes": {name: counts[name] for name in OUTCOMES},
            "seconds": round(time.perf_counter() - started, 3), "cpu_seconds": round(time.process_time() - worked, 3),
            "threads": torch.get_num_threads(), **({"files": writer.files} if writer.files else {}),
        },
    )  # fmt: skip


def _add(writer: Writer, written: Written, config: BulkConfig) -> Written:
    """Hand on a sample, as far as it is wanted; one whose files cannot be named is told of as one that failed."""
    if not (config.failures == "keep" or written.sample.loose or written.account["outcome"] == EDITED):
        return written
    try:
        writer.add(written)
    except UnwritableError as error:
        written = _not_edited(replace(written.sample, picture=None, members=(), row=None), FAILED, error)
        writer.add(written)
    return written


def _windows(samples: Iterable[Sample], most: int) -> Iterator[list[Sample]]:
    """Samples in a row, at most so many, and no more than memory should hold."""
    part: list[Sample] = []
    held = 0
    for sample in samples:
        part.append(sample)
        held += len(sample.picture or b"") + sum(len(member.data) for member in sample.members)
        held += sample.row.batch.slice(sample.row.place, 1).nbytes if sample.row else 0
        if len(part) == most or held > _MOST_BYTES:
            yield part
            part, held = [], 0
    if part:
        yield part


def edited_samples(editor: Editor, samples: Sequence[Sample], config: BulkConfig) -> list[Written]:
    """Samples as they go out, in their order: edited, or as they were with the reason why."""
    done: dict[int, Written] = {}
    faces: dict[int, PhotoFile] = {}
    for place, sample in enumerate(samples):
        if sample.loose:
            done[place] = Written(sample, "", None, {})
            continue
        try:
            photo = _read(sample)
        except (VisagistError, MemoryError) as error:
            done[place] = _not_edited(sample, UNREADABLE, error)
            continue
        if config.aligned or is_aligned(photo, editor):
            faces[place] = photo
            if sum(one.size[0] * one.size[1] for one in faces.values()) > _MOST_PIXELS:
                done |= _edited_faces(editor, samples, faces, config)
                faces = {}
        else:
            done[place] = _edited_photo(editor, sample, photo, config)
    done |= _edited_faces(editor, samples, faces, config)
    return [done[place] for place in range(len(samples))]


def _read(sample: Sample) -> PhotoFile:
    if not sample.picture:
        paths = sample.row is not None and sample.name
        raise VisagistError(f"it holds a path, not a picture: {WRITE_BYTES}" if paths else "it has no picture")
    return read_photo(sample.picture, PurePosixPath(sample.name or sample.key).name)


def _edited_photo(editor: Editor, sample: Sample, photo: PhotoFile, config: BulkConfig) -> Written:
    """A photograph with its faces found and edited in place."""
    mode = config.mode or "detail"
    try:
        result = edit_photo(editor, photo, config.strengths, mode, config.face)  # type: ignore[arg-type]
        name = _name(sample, photo)
        made = encode_photo(
            result.edited, _suffix(name), result.step, strip_metadata=config.strip_metadata, signing=config.signing
        )
    except NoFaceError as error:
        return _not_edited(sample, NO_FACE, error, photo.format)
    except (VisagistError, MemoryError) as error:
        return _not_edited(sample, FAILED, error, photo.format)
    account = {
        **_account(editor, config, mode), "faces": len(result.faces), "others": result.others, "boxes": result.boxes,
        "before": _readings(result.scores_before, config), "after": _readings(result.scores_after, config),
        "by": result.scores_by, "warnings": [*result.warnings, *photo.notes, *made.notes],
    }  # fmt: skip
    return Written(sample, name, made.data, account)


def _edited_faces(
    editor: Editor, samples: Sequence[Sample], faces: Mapping[int, PhotoFile], config: BulkConfig
) -> dict[int, Written]:
    """Pictures that are one aligned face each, passed through the network together."""
    mode = config.mode or "render"
    edits = edit_aligned_photos(editor, list(faces.values()), config.strengths, mode, batch_size=config.batch)
    done = {}
    for (place, photo), edited in zip(faces.items(), edits.photos, strict=True):
        sample = samples[place]
        try:
            name = _name(sample, photo)
            made = encode_photo(
                edited, _suffix(name), edits.step, strip_metadata=config.strip_metadata, signing=config.signing
            )
        except (VisagistError, MemoryError) as error:
            done[place] = _not_edited(sample, FAILED, error, photo.format)
            continue
        account = {**_account(editor, config, mode), "aligned": True, "faces": 1, "warnings": [*edited.notes, *made.notes]}
        done[place] = Written(sample, name, made.data, account)
    return done


def _name(sample: Sample, photo: PhotoFile) -> str:
    """What the edited picture is called; VisagistError where another member of its sample has this name."""
    name = written_name(sample.name or sample.key, photo.format)
    if any(member.info.name == name for place, member in enumerate(sample.members) if place != sample.at):
        raise VisagistError(f"the edited picture would be called {name}, as another member is: rename that one")
    return name


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix


def _not_edited(sample: Sample, outcome: str, error: Exception, form: str | None = None) -> Written:
    """The sample as it was; a picture without a name is called after its format, where that could be read."""
    said = " ".join(str(error).split()) or type(error).__name__
    reason = outcome if outcome == NO_FACE else f"{outcome}: {said}"
    made_up = f"{sample.key}.bin" if form is None else written_name(sample.key, form)
    return Written(sample, sample.name or made_up, sample.picture, {"outcome": outcome, "reason": reason})


def _account(editor: Editor, config: BulkConfig, mode: str) -> dict[str, Any]:
    return {"outcome": EDITED, "model": editor.name, "set": dict(config.strengths), "mode": mode}


def _readings(scores: Mapping[str, Sequence[float]], config: BulkConfig) -> dict[str, list[float]]:
    """What was read of the attributes that were edited, of each face."""
    return {name: [round(score, 4) for score in scores[name]] for name in config.strengths if name in scores}
