"""Any photograph in, edited photograph out: find faces, align, edit, lay the change back at the photograph's resolution.

    photograph --find_faces--> five points --alignment--> the model's square --edit and reconstruction--> change [S, S, 3]
               <---------- added inside a feathered mask, sampled smoothly <---------- the way back

In `detail` mode the photograph keeps its own pixels and the change is added to them, so it stays as sharp as it was. In
`photo` mode a refiner paints what changes. In `render` mode the model's pixels take their place. Outside the masks of the
edited faces no pixel changes at all.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.attributes import reads_as
from visagist.attributes import refuse_conflicting as refuse_conflicts
from visagist.data.crops import ALIGNED_SIZE
from visagist.editing.attribute_scores import AttributeScores, FaceReader, score_all_steps, side_effects, skin_change
from visagist.editing.changes.change import Change, apply_changes, change_of, merge_changes
from visagist.editing.modes import Mode
from visagist.editing.selection.face_choice import FaceChoice, choose_faces, refused_faces
from visagist.editing.selection.second_face import second_face
from visagist.errors import VisagistError
from visagist.faces.alignment import Alignment, align
from visagist.faces.detection import Box, Face, detect, detect_steps
from visagist.files import write_file
from visagist.passes import Pass, Steps, run
from visagist.photos.colour import grey_detail, is_grey
from visagist.photos.content_credentials import Signing
from visagist.photos.edited_picture import mark_edited, save_to
from visagist.photos.encode import encode_photo, suffix_of, write_photo
from visagist.photos.formats import BY_NAME, output_suffix
from visagist.photos.in_memory import bytes_of, picture_of_array
from visagist.photos.photo import PhotoFile, photo_of_pixels, read_photo
from visagist.photos.provenance import Step, make_edit_step
from visagist.pixels import to_floats_of
from visagist.runtime.arrays import Floats, is_tensor

__all__ = [
    "Change", "EditResult", "Face", "FaceChoice", "FaceEditor", "apply_changes", "choose_faces", "compute_changes",
    "edit_photo", "find_faces", "is_aligned", "refuse_conflicts",
]  # fmt: skip

# From here on an edit is warned of: 3 in 100 aligned faces of CelebA are as far from the template, none of 400 is rebuilt so
# badly by a shipped model.
COARSE, UNLIKE, BADLY_REBUILT = 0.75, 0.2, 0.05
TELLING = 0.9  # the strength from which on an edit should be seen
BATCH = 16


class FaceEditor(FaceReader, Protocol):
    """A model that edits faces, as far as photographs, batches, videos and bulk jobs need it; an `Editor` is one."""

    name: str

    @property
    def description(self) -> Mapping[str, Any]: ...
    @property
    def runner(self) -> str: ...
    @property
    def attributes(self) -> tuple[str, ...]: ...
    def setting(self, **strengths: float) -> Any: ...
    def see(self, faces: Any, *, aligned: bool = ...) -> NDArray[np.uint8]: ...
    def reconstruct(self, faces: Any, batch_size: int = ..., *, aligned: bool = ...) -> Any: ...
    def edit(
        self, faces: Any, mode: str = ..., batch_size: int = ..., *, aligned: bool = ..., **strengths: float
    ) -> Any: ...
    def contribute(self, images: Floats, mode: str, **strengths: float) -> tuple[Floats, list[float]]: ...
    def refines(self, strengths: Iterable[str]) -> bool: ...
    def size_in(self, mode: str) -> int: ...
    @property
    def recolours(self) -> bool: ...
    def edit_until(
        self, faces: Any, confidence: float = ..., mode: str = ..., batch_size: int = ..., *, aligned: bool = ...,
        **directions: float,
    ) -> tuple[Any, dict[str, NDArray[np.float32]]]: ...
    def residual(
        self, faces: Any, batch_size: int = ..., *, aligned: bool = ..., **strengths: float
    ) -> NDArray[np.float32]: ...


@dataclass(frozen=True, repr=False)
class EditResult:
    """An edited photograph and what is known of its faces, those that were edited, the largest first.

    pixels          the edited photograph, upright RGB [H, W, 3]; `image` is a PIL image of it, whose files say so
    boxes           left, top, right, bottom of each face
    landmarks       [5, 2] of each face
    scores_before   by attribute, for each face: how sure `scores_by` is that it is there; scores_after of the edited ones
    scores_by       `judge-64-b`, which calibrates and is no independent judge, or `model`, its own classifier; "" if neither
    changes         what was added, and where
    warnings        why the edit may have failed, each with the face's number
    others          how many faces were found and left alone
    edited          the photograph in its own form, every frame, to be written; step is what its file will say was done
    """

    pixels: NDArray[np.uint8]
    faces: tuple[Face, ...]
    scores_before: dict[str, list[float]]
    scores_after: dict[str, list[float]]
    scores_by: str
    changes: tuple[Change, ...]
    warnings: tuple[str, ...]
    others: int
    edited: PhotoFile
    step: Step

    @cached_property
    def image(self) -> Image.Image:
        return mark_edited(Image.fromarray(self.pixels), self.step, self.edited.metadata.xmp)

    @property
    def boxes(self) -> list[Box]:
        return [face.box for face in self.faces]

    @property
    def landmarks(self) -> list[NDArray[np.float32]]:
        return [face.landmarks for face in self.faces]

    @property
    def residual(self) -> NDArray[np.float32]:
        """What the edits add to the photograph, signed [H, W, 3], for pixels in [0, 1]."""
        whole = np.zeros(self.pixels.shape, np.float32)
        for change in self.changes:
            left, top, right, bottom = change.box
            whole[top:bottom, left:right] += change.detail
        return whole

    def save(
        self, file: str | Path | IO[bytes], format: str | None = None, *, strip_metadata: bool = False,
        signing: Signing | None = None,
    ) -> Path | None:  # fmt: skip
        """Write the edited photograph to a path, which is returned, or to an open file. It says that it is edited.

        The format is that of the name's ending unless it is named; of an open file the photograph's own. In its own format
        the photograph keeps its colours, depth and metadata; `strip_metadata` leaves the latter out, and `signing`
        (`photos.content_credentials.signing`) adds content credentials.
        """
        if not isinstance(file, (str, Path)):
            save_to(file, self.to_bytes(format, strip_metadata=strip_metadata, signing=signing))
            return None
        path = Path(file)
        if format is None:
            write_photo(self.edited, path, self.step, strip_metadata=strip_metadata, signing=signing)
        else:
            data = self.to_bytes(format, strip_metadata=strip_metadata, signing=signing)
            write_file(path, data, "choose another name")
        return path

    def to_bytes(
        self, format: str | None = None, *, strip_metadata: bool = False, signing: Signing | None = None
    ) -> bytes:
        """The edited photograph as a file of this format ("png", "jpeg", …), or of its own; it says that it is edited."""
        own = BY_NAME.get(self.edited.format)
        suffix = suffix_of(format) if format is not None else output_suffix(own.suffixes[0] if own else "")
        return encode_photo(
            self.edited, suffix, self.step, strip_metadata=strip_metadata, signing=signing
        ).data

    def _repr_png_(self) -> bytes:
        """The edited photograph, for a notebook."""
        buffer = io.BytesIO()
        self.image.save(buffer, "PNG")
        return buffer.getvalue()

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        number = len(self.faces)
        faces = f"{number} {'face' if number == 1 else 'faces'} edited, {self.others} left alone"
        return f"EditResult({width}×{height}, {faces}, {self.step.settings or 'no change'}, {len(self.warnings)} warnings)"


def find_faces(photo: Any, smallest: int | None = None, by: str | None = None) -> list[Face]:
    """Find all faces in a photograph of any size, the largest first; none is an empty list.

    A path, a PIL image or a uint8 array [H, W, 3]. Nothing is fetched. `smallest` is the width in pixels of the smallest
    faces that are looked for, without it 24; looking for half the width takes four times as long. `by` is `network`, the
    shipped finder and the default, the folder of a trained one, or `dlib`, which finds faces from a thirteenth of the
    photograph's longer side on, of large photographs a twenty-fifth. VisagistError for what is no picture.
    """
    if smallest is not None and smallest < 1:
        raise VisagistError(f"smallest is {smallest}: give the width of a face in pixels, such as 40")
    return detect(read_upright(photo), smallest, by)


def read_upright(photo: Any) -> NDArray[np.uint8]:
    """Read the pixels [H, W, 3] of one photograph, upright, RGB; VisagistError for what is no picture."""
    return open_photo(photo).view()


def open_photo(photo: Any) -> PhotoFile:
    """Read one photograph in its own form; VisagistError for what is none."""
    if isinstance(photo, PhotoFile):
        return photo
    if isinstance(photo, np.ndarray) and photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3 and photo.size:
        return photo_of_pixels(photo, "the array")
    if isinstance(photo, np.ndarray) or is_tensor(photo):
        return read_photo(picture_of_array(photo), "the array" if isinstance(photo, np.ndarray) else "the tensor")
    if not isinstance(photo, (str, Path, Image.Image)):
        return read_photo(bytes_of(photo))
    return read_photo(photo)


def is_aligned(photo: PhotoFile, editor: FaceEditor) -> bool:
    """Whether a photo's size says that it is one face, aligned as for training: CelebA's, or the model's own."""
    return photo.size in (ALIGNED_SIZE, (editor.image_size, editor.image_size)) and len(photo.frames) == 1


def compute_changes(
    editor: FaceEditor,
    pixels: NDArray[np.uint8],
    faces: Sequence[Face],
    strengths: Mapping[str, float],
    mode: str = "detail",
    others: Sequence[Face] = (),
    squares: Sequence[NDArray[np.uint8]] | None = None,
) -> list[Change]:
    """Compute what editing each of these faces adds to the photograph [H, W, 3]: one change a face, in their order.

    No pixel is changed by two of them, nor where one of the `others` is nearer, so that their order does not matter.

    `mode="detail"` adds the difference of the edited and the rebuilt face, `"render"` puts the edited face in place of the
    photograph's. `squares` are the faces as the model sees them, where they are known. VisagistError for attributes that
    exclude each other, and as `Editor.edit`.
    """
    shown = _check(editor, strengths, mode)
    return [change for change, _ in run(_edit_faces(editor, pixels, faces, strengths, shown, others, squares))]


_Edits = list[tuple[Change, tuple[str, ...]]]  # of each face the change, and why this model may have failed on it


def _edit_faces(
    editor: FaceEditor, pixels: NDArray[np.uint8], faces: Sequence[Face], strengths: Mapping[str, float], mode: Mode,
    others: Sequence[Face] = (), squares: Sequence[NDArray[np.uint8]] | None = None,
) -> Steps[_Edits]:  # fmt: skip
    """The steps of editing each face."""
    if getattr(editor, "stages", ()):
        return (yield from _edit_in_stages(editor, pixels, faces, strengths, mode, others))
    grey, size = is_grey(pixels), editor.size_in(mode)
    alignments = [align(face.landmarks, editor.crop, size) for face in faces]
    rest = [face for face in others if all(face is not edited for edited in faces)]
    present = [*alignments, *(align(face.landmarks, editor.crop, size) for face in rest)]
    kind = ("edit", id(editor), mode, tuple(strengths.items()))
    if squares is None:
        squares = [alignment.face(pixels) for alignment in alignments]
    results = (yield Pass(kind, list(squares), partial(_contribute, editor, mode, strengths), BATCH)) if squares else []
    edits: _Edits = []
    for alignment, (square, image, error) in zip(alignments, results):
        neighbours = [other for other in present if other is not alignment]
        change = change_of(pixels, alignment, square, image, mode, neighbours, editor.recolours)
        edits.append((replace(change, detail=grey_detail(change.detail)) if grey else change, _doubts(alignment, error)))
    return edits


def _contribute(
    editor: FaceEditor, mode: Mode, strengths: Mapping[str, float], squares: Sequence[NDArray[np.uint8]]
) -> list[tuple[Floats, Floats, float]]:
    """Of each square its float image, what the edit brings to it, and the model's error of rebuilding it."""
    x = to_floats_of(np.stack(squares))
    images, errors = editor.contribute(x, mode, **strengths)
    return list(zip(x, images, errors))


def _edit_in_stages(
    chain: Any, pixels: NDArray[np.uint8], faces: Sequence[Face], strengths: Mapping[str, float], mode: Mode,
    others: Sequence[Face],
) -> Steps[_Edits]:  # fmt: skip
    """As `_edit_faces`, by the editors of an `EditorChain`, each of which sees what the one before it left."""
    edits: _Edits = []
    current = pixels
    for stage in chain.stages:
        part = stage.part_of(strengths)
        if part:
            more = yield from _edit_faces(stage.editor, current, faces, part, mode, others)
            current = apply_changes(current, [change for change, _ in more])
            edits = [_joined(*both) for both in zip(edits, more)] if edits else more
    return edits


def _joined(
    first: tuple[Change, tuple[str, ...]], second: tuple[Change, tuple[str, ...]]
) -> tuple[Change, tuple[str, ...]]:
    """Two changes of one face as one, and the doubts of both."""
    return merge_changes(first[0], second[0]), tuple(dict.fromkeys((*first[1], *second[1])))


def _doubts(alignment: Alignment, error: float) -> tuple[str, ...]:
    """Why a model may fail on a face that lies so in the photograph and that it rebuilds with this mean square error."""
    doubts = [
        (alignment.enlargement < COARSE, f"smaller than the model paints: at {alignment.enlargement:.2f} of its size"),
        (alignment.misfit > UNLIKE, f"unlike the training faces: its points are off by {alignment.misfit:.2f} of the eyes' "
         f"distance, more than {UNLIKE}"),
        (error > BADLY_REBUILT, f"unlike the training faces: rebuilt with an error of {error:.3f}, above {BADLY_REBUILT}"),
    ]  # fmt: skip
    return tuple(reason for holds, reason in doubts if holds)


def _check(editor: FaceEditor, strengths: Mapping[str, float], mode: str) -> Mode:
    shown = Mode(mode)
    editor.setting(**strengths)
    refuse_conflicts(strengths)
    return shown


def edit_photo(
    editor: FaceEditor,
    photo: Any,
    strengths: Mapping[str, float],
    mode: str = "detail",
    face: FaceChoice = "largest",
    faces: Sequence[Face] | None = None,
    force: bool = False,
) -> EditResult:
    """Edit the faces of a photograph in place, as `Editor.edit_photo` explains.

    `faces` are those of the first frame, the largest first, where they are known already; without them they are looked for.
    Faces that are `unfit` are refused or, of several, left alone, unless `force` is set.
    """
    return run(edit_steps(editor, photo, strengths, mode, face, faces, force))


def edit_steps(
    editor: FaceEditor, photo: Any, strengths: Mapping[str, float], mode: str, face: FaceChoice,
    faces: Sequence[Face] | None = None, force: bool = False,
) -> Steps[EditResult]:  # fmt: skip
    """The steps of `edit_photo`."""
    shown = _check(editor, strengths, mode)
    file = open_photo(photo)
    index, pixels, present = (yield from _first_with_faces(file)) if faces is None else (0, file.view(), list(faces))
    chosen = choose_faces(present, face, force)
    added, doubts = zip(*(yield from _edit_faces(editor, pixels, chosen, strengths, shown, present)))
    frames: list[Sequence[Change]] = [[]] * index + [added]
    for later in range(index + 1, len(file.frames)):
        frames.append(_frame_changes(editor, file.view(later), face, strengths, shown, force))
    written = file.with_changes(frames)
    edited = written.view(index) if file.is_viewed_as_it_is(index) else apply_changes(pixels, added)
    before, after = yield from score_all_steps(editor, (pixels, edited), chosen, list(strengths))
    reasons = [(*face.warnings, *more) for face, more in zip(chosen, doubts)]
    # A second look is taken at faces that something is said of, as of those that are turned.
    around = [change.surroundings for change in added]
    reasons = [known + second_face(pixels, edited, box) if known else known for known, box in zip(reasons, around)]
    if before.by:
        reasons = [
            known + _without_effect(strengths, before, after, row) + side_effects(strengths, before, after, row)
            for row, known in enumerate(reasons)
        ]
    reasons = [known + skin_change(strengths, pixels, edited, face) for known, face in zip(reasons, chosen)]
    warnings = [f"face {number}: {reason}" for number, known in enumerate(reasons) for reason in known]
    warnings += refused_faces(present, face, force)
    step = make_edit_step(editor, strengths, shown, len(chosen))
    return EditResult(
        edited, tuple(chosen), before.scores, after.scores, before.by, added, tuple(warnings), len(present) - len(chosen),
        written, step,
    )  # fmt: skip


def _first_with_faces(file: PhotoFile) -> Steps[tuple[int, NDArray[np.uint8], list[Face]]]:
    """The number, the pixels and the faces of the first frame that shows any; of the first frame, if none does."""
    for index in range(len(file.frames)):
        pixels = file.view(index)
        faces = yield from detect_steps(pixels)
        if faces:
            return index, pixels, faces
    return 0, file.view(), []


def _frame_changes(
    editor: FaceEditor, pixels: NDArray[np.uint8], face: FaceChoice, strengths: Mapping[str, float], mode: Mode, force: bool
) -> list[Change]:
    """Edit a later frame of an animation; none where the chosen face is not in it."""
    faces = detect(pixels)
    try:
        chosen = choose_faces(faces, face, force)
    except VisagistError:  # not in this frame, or not to be edited in it
        chosen = []
    return compute_changes(editor, pixels, chosen, strengths, mode, faces)


def _without_effect(
    strengths: Mapping[str, float], before: AttributeScores, after: AttributeScores, row: int
) -> tuple[str, ...]:
    """Say which edits of a face at a great strength failed: the attribute still reads as it should not."""
    warnings = []
    for name, strength in strengths.items():
        score, former = after.scores[name][row], before.scores[name][row]
        if abs(strength) >= TELLING and not reads_as(np.asarray(score), strength > 0):
            state = "not read" if strength > 0 else "still read"
            warnings.append(f"{name} is {state}: {score:.2f} by {after.by}, {former:.2f} before")
    return tuple(warnings)
