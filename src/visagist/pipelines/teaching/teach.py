"""Teach a model an attribute of a person's own: two folders of photographs in, a model folder out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from visagist.attributes import attribute_column, with_derived
from visagist.checkpoints import checkpoint
from visagist.editing.editor import Editor
from visagist.editing.strength import DIRECTIONS, StrengthMap
from visagist.errors import VisagistError, nearest
from visagist.judges import CALIBRATING_JUDGE, SCORING_JUDGE, Judge, load_judge
from visagist.latent.attribute_vectors import facts_of, read_vectors
from visagist.latent.backend import trained_method
from visagist.latent.codes import check_has_codes, encode_images
from visagist.latent.direction_types import Direction
from visagist.methods.base import Code
from visagist.pipelines.teaching.card import write_card
from visagist.pipelines.teaching.differences import describe_differences, describe_properties, find_differences
from visagist.pipelines.teaching.held_out import HeldOut, measure_held_out
from visagist.pipelines.teaching.lesson import ImaginedFaces, Lesson, fit_strength, fit_vector
from visagist.pipelines.teaching.photographs import TaughtFaces, read_faces
from visagist.progress import ProgressLike, progress_of

TAUGHT_MODEL = "vae-wgan-celeba-64"
HELD = ("Male", "Young", "Smiling")
IMAGINED = 1000  # faces
FEW = 20  # photographs of a class, below which a person is warned (docs/teach.md has the curve)
_DROPPED = ("zoo_name", "card")


@dataclass(frozen=True)
class Taught:
    """What was taught: the vector, its strength by direction, the figures on held-out faces, and what to beware of.

    folder  of the model that was written, None where none was asked for
    editor  the model, which edits the new attribute beside those that it edited before by vectors
    """

    vector: Direction
    strength: Mapping[str, StrengthMap]
    held_out: HeldOut
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    folder: Path | None
    editor: Editor

    def to_json(self) -> dict[str, Any]:
        return {
            "attribute": self.vector.attribute, "with": self.vector.n_with, "without": self.vector.n_without,
            "held": list(self.vector.matched), "held_out": self.held_out.to_json(),
            "strength": {way: fitted.to_json() for way, fitted in self.strength.items()},
            "warnings": list(self.warnings), "notes": list(self.notes),
            "folder": None if self.folder is None else str(self.folder),
        }  # fmt: skip


def teach(
    attribute: str,
    present: str | Path,
    absent: str | Path,
    *,
    model: str | Path | Editor = TAUGHT_MODEL,
    out: str | Path | None = None,
    held: Sequence[str] | None = None,
    mirror: bool = True,
    seed: int = 0,
    device: str = "auto",
    progress: ProgressLike = None,
) -> Taught:
    """Teach a model an attribute from few photographs: `teach("Beret", "with/", "without/", out="Beret")`.

    present, absent  folders of photographs whose largest face has the attribute, and lacks it; about 20 of each or more
    model   zoo name, model or run folder, or `Editor`, whose faces have a code
    out     folder of the taught model, which every command takes by its path; None writes nothing
    held    attributes whose known vectors are taken out as far as the folders differ in them; Male, Young and Smiling, if
            the model has their vectors
    mirror  learn from mirror images too; not for what is on one side of a face
    Raises VisagistError for all that a person can put right.
    """
    editor = model if isinstance(model, Editor) else Editor.from_pretrained(model, device)
    judges = load_judge(CALIBRATING_JUDGE, str(editor.device)), load_judge(SCORING_JUDGE, str(editor.device))
    check_name(attribute, editor, judges[0])
    if out is not None:
        checkpoint.check_savable(Path(out).expanduser())
    known = known_vectors(editor, held)
    with progress_of(progress) as shown:
        faces = read_faces(Path(present).expanduser(), Path(absent).expanduser(), editor, judges[0], shown)
        taught = teach_faces(attribute, faces, editor, judges, known, mirror=mirror, seed=seed, progress=shown)
        if out is not None:
            taught = replace(taught, folder=_save(taught, Path(out).expanduser(), mirror, seed))
        shown.finish()
    return taught


def teach_faces(
    attribute: str, faces: TaughtFaces, editor: Editor, judges: tuple[Judge, Judge], known: Sequence[Direction] = (), *,
    mirror: bool = True, seed: int = 0, progress: ProgressLike = None,
) -> Taught:  # fmt: skip
    """Teach a model an attribute from faces that are aligned already; `judges` calibrate and measure, in this order."""
    with progress_of(progress) as shown:
        shown.stage("reading faces", 4)
        scores, features = judges[0].score(faces.judged), judges[0].features(faces.judged)
        shown.advance()
        others = judges[1].features(faces.judged)
        shown.advance()
        code, mean_codes = _encode(editor, faces, mirror)
        shown.advance()
        imagined = _imagine(editor, judges[0], seed)
        shown.advance()
        names = with_derived(judges[0].attributes)
        read = {d.attribute: _column(scores, judges[0], d.attribute) for d in known if d.attribute in names}
        lesson = Lesson(
            attribute, trained_method(editor, "teaching"), code, mean_codes, faces.present, judges[0], features,
            tuple(d for d in known if d.attribute in read), read, imagined,
            all(d.middle is not None for d in _vectors_of(editor)),
        )  # fmt: skip
        held_out = measure_held_out(lesson, judges[1], others, shown, seed)
        shown.stage("calibrating", 1)
        vector, strength = fit_vector(lesson, lesson.rows), fit_strength(lesson, lesson.rows, seed=seed)
        shown.advance()
    differences = find_differences(scores, judges[0].attributes, faces.present)
    warnings = (
        *_doubts(vector, strength, held_out), *describe_differences(attribute, differences, vector.matched),
        *describe_properties(faces),
    )  # fmt: skip
    return Taught(vector, strength, held_out, warnings, faces.notes, None, _with_vector(editor, vector, strength))


def check_name(attribute: str, editor: Editor, judge: Judge) -> None:
    """VisagistError for a name that no option can carry, and for one that means something already."""
    if not attribute.isidentifier():
        raise VisagistError(f"an attribute cannot be called {attribute!r}: give a word of letters, digits and _, as Beret")
    if attribute in with_derived(judge.attributes):
        raise VisagistError(
            f"{attribute} is what the judges call an attribute of CelebA (visagist attributes lists what ships): give yours "
            f"another name, as My_{attribute}"
        )
    if attribute in editor.attributes:
        raise VisagistError(f"{editor.name} edits {attribute} already: give yours another name")


def known_vectors(editor: Editor, held: Sequence[str] | None) -> list[Direction]:
    known = {vector.attribute: vector for vector in _vectors_of(editor) if vector.length is not None}
    for name in held or ():
        if name not in known:
            there = nearest(name, known) if known else "it has none"
            raise VisagistError(f"{editor.name} has no vector of {name}, which is to be held: {there}")
    return [known[name] for name in (HELD if held is None else held) if name in known]


def _vectors_of(editor: Editor) -> list[Direction]:
    return read_vectors(editor.description)


def _column(scores: Any, judge: Judge, name: str) -> Any:
    return attribute_column(scores, judge.attributes, name).astype(np.float64)


def _encode(editor: Editor, faces: TaughtFaces, mirror: bool) -> tuple[Code, Any]:
    """Codes of the faces on the model's device, and their means with those of the mirror images."""
    check_has_codes(editor, "teaching")
    code = encode_images(editor, faces.squares)
    means = code.z.double()
    if mirror:
        means = (means + encode_images(editor, np.ascontiguousarray(faces.squares[:, :, ::-1])).z.double()) / 2

    def there(tensor: Tensor) -> Tensor:
        return tensor.to(editor.device)

    with torch.inference_mode():
        return Code(there(code.z), None if code.y is None else there(code.y)), means.numpy()


def _imagine(editor: Editor, judge: Judge, seed: int) -> ImaginedFaces | None:
    """Faces that the model draws, as the lesson needs them; None of a model that draws none."""
    if not editor.can("generate"):
        return None
    images = editor.sample(IMAGINED, seed=seed).images
    return ImaginedFaces(encode_images(editor, images).z.double().numpy(), judge.features(images))


def _doubts(vector: Direction, strength: Mapping[str, StrengthMap], held_out: HeldOut) -> list[str]:
    name, doubts = vector.attribute, []
    fewest = min(vector.n_with, vector.n_without)
    if fewest < FEW:
        doubts.append(f"{fewest} photographs of a folder are few: edits get better up to {FEW} and beyond")
    if held_out.told_apart["low"] <= 0.5:
        doubts.append(f"held-out photographs are not told apart for sure, so the edits may not be of {name}: give more")
    for way in DIRECTIONS:
        fitted = strength[way]
        if not fitted.calibrated:
            doubts.append(f"{name}={way} is not calibrated, as {name} is hardly read in the photographs: give more of them")
        elif not fitted.reached:
            doubts.append(f"{name}={way} falls short of what is read in the photographs")
    return doubts


def _with_vector(editor: Editor, vector: Direction, strength: Mapping[str, StrengthMap]) -> Editor:
    """The same model with one vector more, and the strength of its edits."""
    vectors = [*_vectors_of(editor), vector]
    kept = {d.attribute for d in vectors}
    maps = {name: maps for name, maps in (editor.description.get("strength") or {}).items() if name in kept}
    described = {
        **{key: value for key, value in editor.description.items() if key not in _DROPPED},
        "vectors": facts_of(vectors),
        "strength": {**maps, vector.attribute: {way: fitted.to_json() for way, fitted in strength.items()}},
    }  # fmt: skip
    method = trained_method(editor, "teaching")
    return Editor(method, described, name=editor.name, device=str(editor.device), card=editor.card)


def _save(taught: Taught, out: Path, mirror: bool, seed: int) -> Path:
    editor, record = taught.editor, taught.to_json()
    about = {**{key: record[key] for key in ("attribute", "with", "without", "held", "held_out", "warnings")},
             "model": editor.name, "mirrored": mirror, "seed": seed}  # fmt: skip
    card = write_card(str(out), editor.name, taught.vector, about, taught.held_out, taught.warnings, editor.card)
    described = {**editor.description, "taught": [*editor.description.get("taught", ()), about]}
    half = editor.description.get("dtype") == "float16"
    return checkpoint.save_inference_model(trained_method(editor, "saving"), described, card, out, half)


__all__ = ["Taught", "teach", "teach_faces"]
