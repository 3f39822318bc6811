"""The pictures of a reproduction: test faces and their edits, samples, interpolations, walks and maps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.attributes import with_derived
from visagist.data.faces import Faces
from visagist.editing.contact_sheets import residual_picture, sheet, stacked, table
from visagist.editing.contact_sheets import row as line_of
from visagist.editing.direction_editor import by_vectors
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.extractors.landmark_detectors import Finds, detected, load_detectors
from visagist.faces.points import POINTS
from visagist.faces.pose import turned_most, yaw
from visagist.latent.codes import encode_images
from visagist.latent.conditional_sampling import SamplingConfig
from visagist.latent.interpolation import interpolate_faces
from visagist.latent.traversal import step_fractions, walk_attribute
from visagist.latent.tsne_grid import LEAST, lay_out, map_picture
from visagist.reproduction.spec import Column, Layout, Picture, Poses, SampleSheet, Sheet, Walks, Ways

WORDS = "test faces drawn by the seed, not chosen; edits at the paper's own setting"
WIDEST = 22  # characters over a face
FIVE_POINTS = "ert68"  # the installed detector that knows all five


@dataclass(frozen=True)
class CaptionedPicture:
    """A picture and its caption; without a picture, the caption says what is missing."""

    title: str
    image: Image.Image | None
    words: str


def rows_of(picture: Picture) -> set[str]:
    """The labels of the rows whose models a picture needs."""
    return {column.row for column in picture.columns} if isinstance(picture, Sheet) else {picture.row}


def draw_poses(picture: Poses, editor: Editor, faces: Faces, detector: Finds | None, seed: int) -> CaptionedPicture:
    """Draw one line per face, the largest yaw first: original, edited, residual.

    Landmarks are those of the source if it has five, else those of `detector`, else those of an installed detector.
    """
    lacking = (set(picture.start) - set(with_derived(faces.names))) | (set(picture.edit) - set(editor.attributes))
    if lacking:
        return CaptionedPicture(picture.title, None, f"not run: needs faces labelled {', '.join(sorted(lacking))}")
    rows = np.sort(_choose_rows(faces, picture.start, len(faces), seed))
    known = faces.landmarks is not None and faces.landmarks.shape[1] == len(POINTS)
    images = np.ascontiguousarray(faces.images[rows])
    try:
        if known and faces.landmarks is not None:
            points: NDArray[Any] = faces.landmarks[rows]
        else:
            points = detected(detector or load_detectors((FIVE_POINTS,))[0].aimed(faces.manifest.get("crop")), images)
    except VisagistError as error:
        return CaptionedPicture(
            picture.title, None, f"not run: needs five landmarks of each face, of the source or by a detector ({error})"
        )
    angles = yaw(points)
    turned = turned_most(angles, picture.number)
    if not len(turned):
        labels = ", ".join(f"{name} = {value}" for name, value in picture.start.items())
        return CaptionedPicture(picture.title, None, f"not run: needs test faces with {labels} whose landmarks are known")
    columns = (Column("edited", picture.row, picture.edit), Column("residual", picture.row, picture.edit, shown="residual"))
    shown = images[turned]
    made = [(column.title, _edit_by(editor, column, shown)) for column in columns]
    lines = [
        line_of([(f"original, {angles[row]:+.0f}°", shown[i]), *((title, tiles[i]) for title, tiles in made)])
        for i, row in enumerate(turned)
    ]
    listed = ", ".join(f"{faces.files[int(rows[row])]} {angles[row]:+.0f}°" for row in turned)
    words = (
        f"the {len(turned)} test faces of the largest yaw, of {int((~np.isnan(angles)).sum())} whose landmarks are known "
        f"({'by the source' if known else 'by a detector'}) among {len(rows)}; edits at the paper's own setting: {listed}"
    )
    return CaptionedPicture(picture.title, stacked(lines), words)


def draw_sheet(picture: Sheet, editors: Mapping[str, Editor], faces: Mapping[str, Faces], seed: int) -> CaptionedPicture:
    """Draw one line per test face: the original, then every column. `editors` and `faces` are by label of the row."""
    first = faces[picture.columns[0].row]
    lacking = set(picture.start) - set(with_derived(first.names))
    for column in picture.columns:
        lacking |= set(column.edit) - set(editors[column.row].attributes)
    if lacking:
        return CaptionedPicture(picture.title, None, f"not run: needs faces labelled {', '.join(sorted(lacking))}")
    rows = _choose_rows(first, picture.start, picture.lines, seed)
    if not len(rows):
        labels = ", ".join(f"{name} = {value}" for name, value in picture.start.items())
        return CaptionedPicture(picture.title, None, f"not run: needs test faces with {labels}")
    tiles = [("original", np.ascontiguousarray(first.images[rows]))]
    tiles += [(shorten_title(c.title), _edit_by(editors[c.row], c, faces[c.row].images[rows])) for c in picture.columns]
    lines = [line_of([(title, images[i]) for title, images in tiles]) for i in range(len(rows))]
    return CaptionedPicture(picture.title, stacked(lines), WORDS)


def draw_samples(picture: SampleSheet, editor: Editor, chains: SamplingConfig, seed: int) -> CaptionedPicture:
    """Draw a sheet of new faces, with the acceptance of their chains in the caption."""
    strange = sorted(set(picture.given) - set(editor.attributes))
    if strange:
        return CaptionedPicture(picture.title, None, f"not run: needs a model of {', '.join(strange)}")
    given: dict[str, Any] = {name: float(value) for name, value in picture.given.items()}
    try:
        samples = editor.sample(picture.number, seed=seed, settings=chains, **given)
    except VisagistError as error:
        return CaptionedPicture(picture.title, None, f"not run: needs a model that can be sampled so: {error}")
    words = "drawn from the prior"
    if samples.findings is not None:
        accepted = samples.findings.acceptance
        words = (
            f"chains of {chains.steps} steps of {chains.step_size:g}; accepted with a confidence of {chains.confidence:g}: "
            f"{100 * accepted.value:.1f} % [{100 * accepted.low:.1f}, {100 * accepted.high:.1f}] of {accepted.n}"
        )
        for name, bias in samples.findings.bias.items():
            words += f"; bias of {name} {bias.difference:+.3f} [{bias.low:+.3f}, {bias.high:+.3f}]"
    return CaptionedPicture(picture.title, sheet(samples.images), words)


def shorten_title(title: str) -> str:
    """Shorten a title to the width of a face."""
    return title if len(title) <= WIDEST else title[: WIDEST - 1] + "…"


def _choose_rows(faces: Faces, start: Mapping[str, int], number: int, seed: int) -> NDArray[np.int64]:
    """Draw the rows of at most `number` test faces with these labels by the seed."""
    return np.random.default_rng(seed).permutation(faces.indices("test", start))[:number]


def _edit_by(editor: Editor, column: Column, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    images = np.ascontiguousarray(images)
    if not column.edit:
        return editor.reconstruct_arrays(images)
    target, amount = np.zeros((2, len(editor.attributes)), np.float32)
    for name, value in column.edit.items():
        index = editor.attributes.index(name)
        target[index], amount[index] = value, min(1.0, column.reach * editor.backend.paper_amount)
    edited = editor.edit_arrays(images, target, amount)
    if column.shown == "face":
        return edited
    added = edited.astype(np.float32) / 255 - editor.reconstruct_arrays(images).astype(np.float32) / 255
    return np.stack([np.asarray(residual_picture(residual)) for residual in added])


STEPS = 11
DRAWN_BY_SEED = "test faces drawn by the seed, not chosen"


def draw_latent(picture: Ways | Walks | Layout, editor: Editor, faces: Faces, seed: int) -> CaptionedPicture:
    """Draw a picture of an autoencoder's latent space on test faces."""
    if isinstance(picture, Ways):
        return _draw_ways(picture, editor, faces, seed)
    if isinstance(picture, Walks):
        return _draw_walks(picture, editor, faces, seed)
    return _draw_layout(picture, editor, faces, seed)


def _draw_ways(picture: Ways, editor: Editor, faces: Faces, seed: int) -> CaptionedPicture:
    rows = faces.sample("test", 2 * picture.pairs, seed)
    images, alphas = faces.images[rows], [f"{fraction:.2g}" for fraction in step_fractions(STEPS)]
    lines = []
    for first, second in zip(images[::2], images[1::2]):
        (way,) = interpolate_faces(editor, np.stack([first, second]), STEPS)
        lines.append(line_of([("photo", first), *zip(alphas, way), ("photo", second)]))
    if not lines:
        return CaptionedPicture(picture.title, None, "not run: needs two test faces")
    return CaptionedPicture(picture.title, stacked(lines), f"(1 − α) z of the left + α z of the right; {DRAWN_BY_SEED}")


def _draw_walks(picture: Walks, editor: Editor, faces: Faces, seed: int) -> CaptionedPicture:
    train, test = faces.indices("train"), faces.indices("test")
    there, drawn, names, words = with_derived(faces.names), [], [], []
    for name in picture.attributes:
        labels = faces.column(name) if name in there else None
        if labels is None or len(set(labels[train].tolist())) < 2 or not (labels[test] == 0).any():
            words.append(f"{name} is left out: no faces labelled so on both sides")
            continue
        walker = by_vectors(editor, faces, (name,), picture.number, seed)
        (vector,) = walker.description["vectors"]
        start = np.random.default_rng(seed).permutation(test[labels[test] == 0])[0]
        drawn.append(walk_attribute(walker, faces.images[start], (name,), STEPS)[0])
        names.append(f"{name.replace('_', ' ')}\n{vector['n_with']} with, {vector['n_without']} without")
    if not drawn:
        return CaptionedPicture(picture.title, None, f"not run: needs faces labelled {', '.join(picture.attributes)}")
    words = [f"z + α v, α from 0 to 1; training faces of each class at the left; {DRAWN_BY_SEED}", *words]
    columns = [f"{fraction:.2g}" for fraction in step_fractions(STEPS)]
    return CaptionedPicture(picture.title, table(np.stack(drawn), names, columns), "; ".join(words))


def _draw_layout(picture: Layout, editor: Editor, faces: Faces, seed: int) -> CaptionedPicture:
    side = min(math.isqrt(picture.number), math.isqrt(len(faces.indices("test"))))
    if side**2 < LEAST:
        return CaptionedPicture(picture.title, None, f"not run: needs at least {LEAST} test faces")
    images = np.ascontiguousarray(faces.images[faces.sample("test", side**2, seed)])
    layout = lay_out(encode_images(editor, images).z.numpy(), seed)
    words = (
        f"{side} × {side} {DRAWN_BY_SEED}; t-SNE, then an assignment to cells; trustworthiness of the grid "
        f"{layout.trust['grid']:.3f}, of the same cells by lot {layout.trust['by_lot']:.3f}"
    )
    return CaptionedPicture(picture.title, map_picture(images, layout), words)
