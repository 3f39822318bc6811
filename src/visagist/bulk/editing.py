"""Edit samples: each comes out in its place, edited, or as it was with the reason.

    Sample --threads decode--> photo --faces of some pictures together--> Edited --threads encode--> EditedSample
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from visagist.bulk.samples import Sample
from visagist.bulk.shards import written_name
from visagist.bulk.writers import EditedSample
from visagist.data.columns import WRITE_BYTES
from visagist.editing.photo_edit import FaceEditor
from visagist.editing.request import Edited, EditRequest, Outcome, edit_aligned, edit_photographs, failure
from visagist.errors import VisagistError
from visagist.photos.photo import PhotoFile, read_photo

BATCH = 64
THREADS = 2  # that decode and encode beside the one that edits
_MOST_PIXELS = 12_000_000  # of what waits in memory to be edited together


@dataclass(frozen=True)
class BulkConfig:
    """What is requested of a bulk job.

    to         the kind of the output's shards
    failures   whether a picture that cannot be edited is kept as it is or dropped
    batch      how many faces pass the network together
    precision  of the networks that edit aligned faces, on the processor
    """

    request: EditRequest
    to: str
    failures: Literal["keep", "drop"] = "keep"
    batch: int = BATCH
    precision: Literal["fp32", "bf16"] = "fp32"


def edit_samples(editor: FaceEditor, samples: Iterable[Sample], config: BulkConfig) -> Iterator[EditedSample]:
    """Edit samples in their order, some of them in memory at a time.

    While some are edited, those behind them are decoded and those before them encoded.
    """
    with ThreadPoolExecutor(THREADS, "visagist-bulk-pictures") as pool:
        encoding: list[Future[EditedSample]] = []
        for group in _groups(_read_ahead(pool, samples), config.batch):
            edited = _edit_group(editor, group, config)
            yield from (future.result() for future in encoding)
            encoding = [pool.submit(_encode, editor, sample, result) for (sample, _), result in zip(group, edited)]
        yield from (future.result() for future in encoding)


_Read = PhotoFile | Exception | None  # a decoded picture, why it could not be read, or nothing of what is no sample


def _read_ahead(pool: ThreadPoolExecutor, samples: Iterable[Sample]) -> Iterator[tuple[Sample, _Read]]:
    waiting = deque[tuple[Sample, Future[_Read]]]()
    for sample in samples:
        waiting.append((sample, pool.submit(_read, sample)))
        if len(waiting) > 2 * THREADS:
            first, future = waiting.popleft()
            yield first, future.result()
    yield from ((sample, future.result()) for sample, future in waiting)


def _groups(read: Iterable[tuple[Sample, _Read]], most: int) -> Iterator[list[tuple[Sample, _Read]]]:
    """Consecutive samples, at most `most`, and no more than memory should hold."""
    group: list[tuple[Sample, _Read]] = []
    pixels = 0
    for sample, photo in read:
        group.append((sample, photo))
        pixels += photo.size[0] * photo.size[1] * len(photo.frames) if isinstance(photo, PhotoFile) else 0
        if len(group) == most or pixels > _MOST_PIXELS:
            yield group
            group, pixels = [], 0
    if group:
        yield group


def _read(sample: Sample) -> _Read:
    if sample.unmatched:
        return None
    try:
        if not sample.picture:
            paths = sample.row is not None and sample.name
            raise VisagistError(f"it holds a path, not a picture: {WRITE_BYTES}" if paths else "it has no picture")
        return read_photo(sample.picture, PurePosixPath(sample.name or sample.key).name)
    except (VisagistError, MemoryError) as error:
        return error


@dataclass(frozen=True)
class _Failed:
    """Why a picture was not edited; `form` is the format that it was read in, where it was."""

    error: Exception
    outcome: Outcome = Outcome.FAILED
    form: str | None = None


_Result = Edited | _Failed | None


def _edit_group(editor: FaceEditor, group: Sequence[tuple[Sample, _Read]], config: BulkConfig) -> list[_Result]:
    """Edit pictures that are in memory: their faces pass the networks together."""
    results: list[_Result] = [None] * len(group)
    aligned: dict[int, PhotoFile] = {}
    photographs: dict[int, PhotoFile] = {}
    for index, (_, photo) in enumerate(group):
        if isinstance(photo, Exception):
            results[index] = _Failed(photo, Outcome.UNREADABLE)
        elif photo is not None:
            (aligned if config.request.takes_as_aligned(photo, editor) else photographs)[index] = photo
    for index, end in zip(photographs, edit_photographs(editor, list(photographs.values()), config.request)):
        results[index] = end if isinstance(end, Edited) else _Failed(end, form=photographs[index].format)
    with in_precision(config.precision):
        faces = edit_aligned(editor, list(aligned.values()), config.request, config.batch)
    for index, edited in zip(aligned, faces):
        results[index] = edited
    return results


def in_precision(precision: str) -> AbstractContextManager[object]:
    """Where torch computes in bf16, if that is the precision; what onnxruntime computes stays as it is."""
    if precision == "fp32":
        return nullcontext()
    import torch

    return torch.autocast("cpu", torch.bfloat16)


def _encode(editor: FaceEditor, sample: Sample, result: _Result) -> EditedSample:
    """An edited picture as its file, with its account; as it was, with the reason, where it is not edited."""
    if result is None:
        return EditedSample(sample, "", None, {})
    if isinstance(result, _Failed):
        return unedited(sample, result.error, result.outcome, result.form)
    try:
        return _encode_edited(editor, sample, result)
    except (VisagistError, MemoryError) as error:
        return unedited(sample, error, form=result.source.format)


def _encode_edited(editor: FaceEditor, sample: Sample, edited: Edited) -> EditedSample:
    """VisagistError where the picture has no name or no form."""
    name = _name(sample, edited.source)
    data, record = edited.encode(PurePosixPath(name).suffix)
    account: dict[str, Any] = {
        "outcome": record.outcome, "model": editor.name, "backend": editor.runner,
        "set": dict(edited.request.strengths), "mode": edited.mode,
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


def unedited(
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
