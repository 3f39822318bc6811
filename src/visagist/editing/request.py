"""One edit: what is requested, the edited picture and the record of it, alike for commands, batches, videos and bulk jobs.

    file -> photo --edit_picture--> Edited --encode--> bytes, EditRecord

A picture is a photograph, whose faces are found and edited in place, or one aligned face, which passes the model whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from visagist.attributes import reads_as
from visagist.editing.aligned import BATCH, edit_aligned_photos
from visagist.editing.modes import Mode, usual_mode
from visagist.editing.photo_edit import TELLING, EditResult, FaceChoice, FaceEditor, edit_steps, is_aligned
from visagist.editing.selection.same_person import PersonCheck
from visagist.errors import NoFaceError, VisagistError
from visagist.faces.detection import Box, Face
from visagist.passes import Steps, run, run_together
from visagist.photos.content_credentials import Signing
from visagist.photos.encode import encode_photo
from visagist.photos.photo import PhotoFile, read_photo
from visagist.photos.provenance import Step


class Outcome(StrEnum):
    """What became of a picture."""

    EDITED = "edited"
    NO_FACE = "no face"
    UNREADABLE = "unreadable"
    FAILED = "failed"


@dataclass(frozen=True)
class EditRequest:
    """What is requested, alike for every picture.

    mode            None: render for aligned faces; for photographs photo, if the editor has a refiner that knows the
                    attributes, else detail
    aligned         every picture is one aligned face, or none is; None: the size of each decides
    until           move each aligned face until the model reads it so with this probability
    strip_metadata  leave out what the file said before, but for its colour profile and its history
    force           edit faces too that an edit fails on, as profiles
    person          warns of faces of a photograph that are another person after the edit
    """

    strengths: Mapping[str, float]
    mode: Mode | None = None
    face: FaceChoice = "largest"
    aligned: bool | None = None
    until: float | None = None
    strip_metadata: bool = False
    force: bool = False
    signing: Signing | None = field(default=None, repr=False)
    person: PersonCheck | None = field(default=None, repr=False)

    def takes_as_aligned(self, photo: PhotoFile, editor: FaceEditor) -> bool:
        """Whether the whole picture is one face."""
        return is_aligned(photo, editor) if self.aligned is None else self.aligned

    def mode_for(self, aligned: bool, editor: FaceEditor) -> Mode:
        """The mode that is requested, or the usual one of such pictures."""
        return self.mode or (Mode.RENDER if aligned else usual_mode(editor, self.strengths))


@dataclass(frozen=True)
class EditRecord:
    """What became of one picture: a line of `edits.csv`, of `OUT.edits.jsonl`, of a server's answer.

    faces    how many were edited; `others` were found and left alone; `boxes` are those of the edited ones
    before   by requested attribute, for each edited face, how sure `by` is that it is present; `after` alike
    amounts  by attribute, the share of the model's range that `until` took
    reason   why it is not edited; empty where it is
    """

    outcome: Outcome = Outcome.EDITED
    aligned: bool = False
    faces: int = 0
    others: int = 0
    boxes: tuple[Box, ...] = ()
    before: Mapping[str, list[float]] = field(default_factory=dict)
    after: Mapping[str, list[float]] = field(default_factory=dict)
    by: str = ""
    amounts: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    reason: str = ""

    def is_without_effect(self, strengths: Mapping[str, float]) -> bool:
        """Whether an edit at a great strength is not read from a face."""
        asked = [(strength, self.after.get(name, ())) for name, strength in strengths.items() if abs(strength) >= TELLING]
        return any(not reads_as(np.asarray(score), strength > 0) for strength, scores in asked for score in scores)


@dataclass(frozen=True)
class Edited:
    """An edited picture that is not written yet.

    source  the picture as it was; `photo` is the edited one in the same form
    step    what its file says was done
    result  of a photograph, what is known of its faces; None for an aligned face
    """

    source: PhotoFile
    photo: PhotoFile
    step: Step
    request: EditRequest
    record: EditRecord
    mode: Mode
    result: EditResult | None = None

    def encode(self, suffix: str) -> tuple[bytes, EditRecord]:
        """The bytes of a file with this suffix, and the record with warnings of what it cannot hold."""
        request, record = self.request, self.record
        encoded = encode_photo(
            self.photo, suffix, self.step, strip_metadata=request.strip_metadata, signing=request.signing
        )
        return encoded.data, replace(record, warnings=(*record.warnings, *encoded.notes))


def edit_picture(
    editor: FaceEditor, photo: PhotoFile, request: EditRequest, faces: Sequence[Face] | None = None
) -> Edited:
    """Edit one picture; its file's metadata and history stay with it.

    `faces` are those of a photograph where they are known already, the largest first. NoFaceError where there is none to
    edit, VisagistError as `Editor.edit` and `Editor.edit_photo`.
    """
    return run(edit_picture_steps(editor, photo, request, faces))


def edit_photographs(
    editor: FaceEditor, photos: Sequence[PhotoFile], request: EditRequest
) -> list[Edited | VisagistError | MemoryError]:
    """Edit some photographs, of which the faces pass the networks together; what cannot be edited is given as its error."""
    works = [edit_picture_steps(editor, photo, request) for photo in photos]
    return run_together(works, (VisagistError, MemoryError))  # type: ignore[return-value]


def edit_picture_steps(
    editor: FaceEditor, photo: PhotoFile, request: EditRequest, faces: Sequence[Face] | None = None
) -> Steps[Edited]:
    """The steps of `edit_picture`."""
    if request.takes_as_aligned(photo, editor):
        return edit_aligned(editor, [photo], request)[0]
    mode = request.mode_for(False, editor)
    result = yield from edit_steps(editor, photo, request.strengths, mode, request.face, faces, request.force)
    before, after = (
        {name: scores[name] for name in request.strengths if name in scores}
        for scores in (result.scores_before, result.scores_after)
    )
    record = EditRecord(
        faces=len(result.faces), others=result.others, boxes=tuple(result.boxes), before=before, after=after,
        by=result.scores_by, warnings=(*result.warnings, *_other_people(request, photo, result), *photo.notes),
    )  # fmt: skip
    return Edited(photo, result.edited, result.step, request, record, mode, result)


def _other_people(request: EditRequest, photo: PhotoFile, result: EditResult) -> tuple[str, ...]:
    """Warnings of people whom the edit changed too far, of a photograph with one frame."""
    if request.person is None or len(photo.frames) > 1:
        return ()
    return request.person.warn(photo.view(), np.asarray(result.image), result.faces)


def edit_aligned(
    editor: FaceEditor, photos: Sequence[PhotoFile], request: EditRequest, batch_size: int = BATCH
) -> list[Edited]:
    """Edit pictures that are one aligned face each; they pass the network together. VisagistError as `Editor.edit`."""
    mode = request.mode_for(True, editor)
    edits = edit_aligned_photos(editor, photos, request.strengths, mode, request.until, batch_size)
    return [
        Edited(
            photo, edited, edits.step, request,
            EditRecord(aligned=True, faces=1, amounts=amounts, warnings=edited.notes), mode,
        )
        for photo, edited, amounts in zip(photos, edits.photos, edits.amounts, strict=True)
    ]


def edit_file(editor: FaceEditor, path: Path, suffix: str, request: EditRequest) -> tuple[bytes, EditRecord]:
    """Edit the picture in a file into the bytes of a file with this suffix. VisagistError as `read_photo` too."""
    return edit_picture(editor, read_photo(path), request).encode(suffix)


def failure(error: Exception, outcome: Outcome = Outcome.FAILED) -> EditRecord:
    """The record of a picture that is not edited, in one line."""
    outcome = Outcome.NO_FACE if isinstance(error, NoFaceError) else outcome
    return EditRecord(outcome, reason=" ".join(str(error).split()) or type(error).__name__)
