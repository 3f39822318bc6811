"""`measure_photographs`: edits of photographs at strength ±1 in the mode that people get, by judges of different kinds.

The lowest judge is the figure. Beside each stands its ceiling: the share of unedited photographs of the class that is asked
for which the same judge reads so. A face that is not found is edited by nobody, so it counts as not edited.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import changes_with, reads_as
from visagist.data import load_data
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.editing.modes import usual_mode
from visagist.editing.photo_edit import apply_changes, compute_changes
from visagist.errors import VisagistError
from visagist.evaluation.context import Images, PanelJudge
from visagist.evaluation.extractors.judge_panel import AttributeReader, check_panel, open_panel
from visagist.evaluation.extractors.onnx import Embedder
from visagist.evaluation.independence import check_independence
from visagist.evaluation.manifest import build_manifest, model_facts
from visagist.evaluation.metrics.identity import cosine
from visagist.evaluation.metrics.panel import READ, add_panel
from visagist.evaluation.photographs.groups import groups_of, lightness_of
from visagist.evaluation.photographs.scenes import CROP, SOURCE_CROP, Scene, lay_out
from visagist.evaluation.results import Cell, Metric, Metrics, Result, Strip, metrics_under
from visagist.evaluation.session import load_embedder
from visagist.evaluation.statistics import mean_ci, mean_share_ci
from visagist.faces.detection import Face, detect
from visagist.judges import SCORING_JUDGE
from visagist.progress import Progress, ProgressLike, progress_of

WAYS = {"given": 1, "taken": 0}
CHANGED = 6  # levels, from which on a pixel counts as painted
SHOWN = 10  # faces of each attribute and direction in the report
NEAR = 0.35  # of the square's side: how far from its middle a face may be found and still be the one

_FIGURES = (
    *READ,
    Metric("unfound", "faces not found", "share", "lower"),
    Metric("identity", "identity kept"),
    Metric("others", "others read differently", "share", "lower"),
    Metric("sharpness", "sharpness of what is painted", better="equal"),
    Metric("painted", "share of the face that is painted", "share", "lower"),
    Metric("tone", "change of the skin's lightness, of 100", better="lower"),
    Metric("{group}.success", "success among {group}, the lowest judge", "share"),
    Metric("{group}.identity", "identity kept among {group}"),
)
METRICS = metrics_under(
    "photographs.{model}.{A}.{way}.", _FIGURES, "photographs",
    {metric.key: "" for metric in _FIGURES if "{" not in metric.key},
)  # fmt: skip


@dataclass(frozen=True)
class PhotographSettings:
    """What is edited, and who reads it.

    attributes  what to edit; None for all that a model edits and that the faces are labelled with
    mode        None for the usual one of photographs: photo where a refiner knows the attribute, else detail
    number      faces of each class of each attribute
    judges      attribute judges by name or folder, face-api:FOLDER, geometry
    identity    a face embedder, or the path of one as ONNX
    refiner     of all models; auto is the shipped one of each
    allow_dependent  measure what is not judged independently, and say so
    """

    attributes: tuple[str, ...] | None = None
    mode: str | None = None
    strength: float = 1.0
    number: int = 200
    split: str = "test"
    seed: int = 0
    judges: tuple[str, ...] = (SCORING_JUDGE,)
    identity: Embedder | str | Path | None = None
    refiner: str | Path | None = "auto"
    device: str = "auto"
    allow_dependent: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.strength <= 1:
            raise VisagistError(f"strength is {self.strength:g}: both ways are measured, so give one above 0, at most 1")
        if self.number < 1:
            raise VisagistError(f"number is {self.number}: give at least 1 face of each class")


@dataclass(frozen=True)
class Laid:
    """Faces of a split in scenes: their rows, and of each the face that is found at its place, or None."""

    rows: NDArray[np.int64]
    scenes: list[Scene]
    found: list[Face | None]
    unedited: Images


@dataclass(frozen=True)
class Study:
    """What all attributes and directions share; `before` is what each judge reads of the unedited faces, [N, A]."""

    faces: Faces
    laid: Laid
    settings: PhotographSettings
    panel: Sequence[PanelJudge]
    before: dict[str, NDArray[np.float32]]
    embedder: Embedder | None
    results: Metrics


def measure_photographs(
    models: Sequence[str | Path | Editor], data: str | Faces, settings: PhotographSettings, progress: ProgressLike = None
) -> Result:
    """Edit photographs by every model, each attribute both ways; faces are aligned pictures of the crop `centre178`.

    The first attribute judge of the panel reads what else changed. VisagistError for other faces, for attributes that no
    judge or no label tells, and for judges that trained or calibrated a model.
    """
    started, seed = time.perf_counter(), settings.seed
    panel = open_panel(settings.judges, CROP, settings.device)
    embedder = load_embedder(settings.identity)
    editors = [
        model if isinstance(model, Editor) else Editor.from_pretrained(model, settings.device, refiner=settings.refiner)
        for model in models
    ]
    with progress_of(progress, "photographs") as bar:
        faces = data if isinstance(data, Faces) else load_data(data, image_size=178, crop=SOURCE_CROP, progress=bar)
        if faces.manifest.get("crop") != SOURCE_CROP:
            raise VisagistError(f"photographs are made of the crop {SOURCE_CROP}, got {faces.manifest.get('crop')}")
        asked = {editor.name: _attributes_of(editor, faces, settings, panel) for editor in editors}
        rows = _rows_of_classes(faces, sorted({name for names in asked.values() for name in names}), settings)
        dependent = [
            what for editor in editors
            for what in (
                *check_independence(editor, None, faces, rows, allowed=settings.allow_dependent),
                *check_panel(editor, None, panel, faces, rows, settings.allow_dependent),
            )
        ]  # fmt: skip
        laid = _lay_out(faces, rows, seed, bar)
        before = {judge.name: _read_all(judge, laid.unedited) for judge in panel}
        study = Study(faces, laid, settings, panel, before, embedder, Metrics())
        strips: list[Strip] = []
        bar.stage("editing", sum(2 * len(names) for names in asked.values()))
        for editor in editors:
            for name in asked[editor.name]:
                for way in WAYS:
                    strips += _measure(study, editor, name, way)
                    bar.advance(1)
        bar.finish()
    facts = {
        "models": [model_facts(editor) for editor in editors], "attributes": asked, "split": settings.split, "seed": seed,
        "mode": settings.mode or "usual", "strength": settings.strength, "number": settings.number,
        "judges": [judge.name for judge in panel], "photographs": len(rows),
        "found": sum(face is not None for face in laid.found), "dependent": sorted(set(dependent)),
        "data": {"source": faces.manifest.get("source"), "crop": faces.manifest.get("crop")},
    }  # fmt: skip
    study.results.manifest = build_manifest(facts, time.perf_counter() - started)
    return Result(study.results, strips)


def _attributes_of(
    editor: Editor, faces: Faces, settings: PhotographSettings, panel: Sequence[PanelJudge]
) -> tuple[str, ...]:
    read = {name for judge in panel for name in judge.attributes}
    possible = [name for name in editor.attributes if name in faces.names and name in read]
    names = tuple(settings.attributes or possible)
    for name in names:
        if name not in possible:
            why = "does not edit it" if name not in editor.attributes else "has no label or judge for it"
            raise VisagistError(f"{name}: {editor.name} {why}; it can be one of {', '.join(possible) or 'none'}")
    return names


def _rows_of_classes(faces: Faces, names: Sequence[str], settings: PhotographSettings) -> NDArray[np.int64]:
    """Rows of a split with at most `number` faces of each class of each attribute, in their order."""
    rows = faces.sample(settings.split, None, settings.seed)
    rng, chosen = np.random.default_rng(settings.seed), set()
    for name in names:
        column = np.asarray(faces.column(name))[rows]
        for value in (0, 1):
            of_class = rows[column == value]
            chosen |= set(rng.permutation(of_class)[: settings.number].tolist())
    if not chosen:
        raise VisagistError(f"the split {settings.split} has no faces: give another")
    return np.array(sorted(chosen))


def _lay_out(faces: Faces, rows: NDArray[np.int64], seed: int, bar: Progress) -> Laid:
    scenes, found, unedited = [], [], []
    bar.stage("finding", len(rows))
    for row in rows.tolist():
        scene = lay_out(faces.images[row], seed + row)
        middle = scene.to_photo @ np.array([64, 64, 1])
        side = 128 * np.hypot(*scene.to_photo[:, 0])
        near = [
            face for face in detect(scene.pixels)
            if np.linalg.norm(face.landmarks.mean(0) - middle) < NEAR * side
        ]  # fmt: skip
        scenes.append(scene)
        found.append(near[0] if near else None)
        unedited.append(scene.face(scene.pixels))
        bar.advance(1)
    return Laid(rows, scenes, found, np.stack(unedited))


def _read_all(judge: PanelJudge, images: Images) -> NDArray[np.float32]:
    if isinstance(judge, AttributeReader):
        return judge.read_all(images)
    return np.stack([judge.read(images, name) for name in judge.attributes], 1)


def _measure(study: Study, editor: Editor, name: str, way: str) -> list[Strip]:
    """Add the figures of one attribute and direction; returns the first faces before and after."""
    settings, laid, results, seed = study.settings, study.laid, study.results, study.settings.seed
    target = WAYS[way]
    label = np.asarray(study.faces.column(name))[laid.rows]
    rng = np.random.default_rng([seed, len(name), target])
    chosen = np.sort(rng.permutation(np.flatnonzero(label == 1 - target))[: settings.number])
    key = f"photographs.{editor.name}.{name}.{way}"
    if not len(chosen):
        results.not_computed[f"{key}.*"] = f"no face of the split is without what is {way}"
        return []
    strength = settings.strength if target else -settings.strength
    mode = settings.mode or usual_mode(editor, [name])
    edited = np.stack([_edit(editor, laid, position, {name: strength}, mode) for position in chosen.tolist()])
    unedited = laid.unedited[chosen]
    done = _add_readings(study, key, name, target, chosen, np.flatnonzero(label == target), edited)
    results.values[f"{key}.unfound"] = mean_ci(np.array([laid.found[position] is None for position in chosen]), seed)
    kept = None if study.embedder is None else cosine(study.embedder(unedited), study.embedder(edited))
    if kept is not None:
        results.values[f"{key}.identity"] = mean_ci(kept, seed)
    _add_pixels(results, key, unedited, edited, seed)
    lightness = lightness_of(unedited, CROP)
    results.values[f"{key}.tone"] = mean_ci(np.abs(lightness_of(edited, CROP) - lightness), seed)
    for group, members in groups_of(study.faces, laid.rows[chosen], lightness).items():
        if members.any():
            results.values[f"{key}.{group}.success"] = mean_ci(done[members], seed)
            if kept is not None:
                results.values[f"{key}.{group}.identity"] = mean_ci(kept[members], seed)
    return [
        Strip(name, bool(1 - target), [Cell("photograph", unedited[i], None), Cell(f"{name} {way}", edited[i], None)])
        for i in range(min(SHOWN, len(chosen)))
    ]


def _add_readings(
    study: Study, key: str, name: str, target: int, chosen: NDArray[np.int64], of_class: NDArray[np.int64], edited: Images
) -> NDArray[np.bool_]:
    """What the judges read: success and ceiling of each, the lowest of them, and what else is read differently.

    Returns which edits the lowest judge reads as asked for.
    """
    results, before = study.results, study.before
    done, reads_of_class = {}, {}
    for judge in study.panel:
        if name not in judge.attributes:
            continue
        column = judge.attributes.index(name)
        after = _read_all(judge, edited)
        done[judge.name] = reads_as(after[:, column], bool(target))
        reads_of_class[judge.name] = reads_as(before[judge.name][of_class, column], bool(target))
        if isinstance(judge, AttributeReader) and f"{key}.others" not in results:
            free = [k for k, other in enumerate(judge.attributes) if other not in changes_with(name)]
            flips = (after >= 0.5) != (before[judge.name][chosen] >= 0.5)
            results.values[f"{key}.others"] = mean_share_ci(flips[:, free].mean(1), study.settings.seed)
    return done[add_panel(results, key, done, reads_of_class)]


def _edit(
    editor: Editor, laid: Laid, position: int, strengths: dict[str, float], mode: str
) -> NDArray[np.uint8]:
    """The face of a scene after its edit in the photograph; as it was, where it is not found."""
    scene, face = laid.scenes[position], laid.found[position]
    if face is None:
        return laid.unedited[position]
    return scene.face(apply_changes(scene.pixels, compute_changes(editor, scene.pixels, [face], strengths, mode)))


def _add_pixels(results: Metrics, key: str, before: Images, after: Images, seed: int) -> None:
    """How much is painted, and how sharp it is: the energy of the Laplacian there over that of the photograph."""
    difference = np.abs(after.astype(np.int16) - before).max(-1)[:, 1:-1, 1:-1]
    painted = difference > CHANGED
    results.values[f"{key}.painted"] = mean_share_ci(painted.mean((1, 2)), seed)
    energies = [(np.square(_laplacian(images)) * painted).sum((1, 2)) for images in (after, before)]
    known = (painted.sum((1, 2)) > 50) & (energies[1] > 0)
    if known.any():
        results.values[f"{key}.sharpness"] = mean_ci(np.sqrt(energies[0][known] / energies[1][known]), seed)


def _laplacian(images: Images) -> NDArray[np.float32]:
    grey = images.astype(np.float32).mean(-1)
    beside = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    laplacian: NDArray[np.float32] = 4 * grey[:, 1:-1, 1:-1] - beside
    return laplacian
