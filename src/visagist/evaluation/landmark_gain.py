"""Landmark gain: how much better a detector finds eyes, nose and mouth after a model removes the glasses.

The published sets D0 (faces without glasses), D1 (faces with glasses) and D1m (D1 after removal) are `without`, `with` and
`removed` (Shen and Liu, 2017, §6.4). `rebuilt` is D1 after the model's reconstruction without an edit, if it has an
autoencoder: the effect of its blur alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import check_attributes, check_available
from visagist.data.drawn.synthetic import ATTRIBUTES, SyntheticFaces
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.extractors.landmark_detectors import LandmarkDetector, detected
from visagist.evaluation.independence import check_unseen, independence_facts, notes_on_dependence
from visagist.evaluation.manifest import INTERVAL, build_manifest, data_facts, model_facts
from visagist.evaluation.results import Metric, Metrics
from visagist.evaluation.session import EvaluationSettings, Session
from visagist.evaluation.statistics import mean_ci
from visagist.latent.backend import method_name
from visagist.latent.codes import check_size
from visagist.progress import Progress, ProgressLike, progress_of

Points = NDArray[np.float32]
SETS = ("without", "with", "rebuilt", "removed")
PARTS: Mapping[str, slice] = {"eye": slice(0, 2), "rest": slice(2, 5)}
PARTS_IN_WORDS = {"eye": "eyes", "rest": "nose and mouth"}
GAINS = {"gain": "gain: with − taken away", "gain_over_rebuilt": "gain: rebuilt − taken away"}
_KEY = "landmarks.{reference}.{detector}"
METRICS = (
    *(Metric(f"{_KEY}.{{set}}.{part}_error", f"error of {name}, {{set}}", better="lower")
      for part, name in PARTS_IN_WORDS.items()),
    *(Metric(f"{_KEY}.{part}_{gain}", f"{name}, {title}") for part, name in PARTS_IN_WORDS.items()
      for gain, title in GAINS.items()),
    Metric("landmarks.found.{detector}.{set}", "faces whose eyes are found, {set}", "share"),
)  # fmt: skip
# Shen and Liu (2017, arXiv:1612.05363), Table 2: D0, D1 and D1m. The gains are the differences of the last two.
PUBLISHED = {
    "without.eye_error": 0.02341, "with.eye_error": 0.03570, "removed.eye_error": 0.03048,
    "without.rest_error": 0.04424, "with.rest_error": 0.04605, "removed.rest_error": 0.04608,
    "eye_gain": 0.00522, "rest_gain": -0.00003,
}  # fmt: skip
UNKNOWN = "a detector does not know these points, or finds no such face"


@dataclass(frozen=True)
class DetectorPair:
    """A detector and its reference, as in the keys of the metrics; `words` describes the reference."""

    reference: str
    detector: str
    words: str

    @property
    def key(self) -> str:
        """The prefix of the keys of its metrics."""
        return f"landmarks.{self.reference}.{self.detector}"


def point_errors(points: Points, reference: Points) -> NDArray[np.float64]:
    """Distances [N, 5] between points [N, 5, 2] over the reference's distance between the eyes; NaN if one is NaN."""
    apart = np.linalg.norm(reference[:, 0].astype(np.float64) - reference[:, 1], axis=1)
    distances: NDArray[np.float64] = np.linalg.norm(points.astype(np.float64) - reference, axis=2) / apart[:, None]
    return distances


def add_errors(results: Metrics, key: str, pairs: Mapping[str, tuple[Points, Points]], seed: int) -> None:
    """Add the errors of each set, and the gains, under a key; `pairs` are detected and reference points [N, 5, 2] by set.

    The sets `with`, `rebuilt` and `removed` are of the same faces: only faces with all points of a part in all sets count.
    """
    for part, places in PARTS.items():
        errors = {name: point_errors(*pair)[:, places].mean(1) for name, pair in pairs.items()}
        alone = errors.pop("without", np.zeros(0))
        whole = np.isfinite(np.stack(list(errors.values()))).all(0)
        kept = {"without": alone[np.isfinite(alone)], **{name: values[whole] for name, values in errors.items()}}
        for name in SETS:
            if len(kept.get(name, ())):
                results.values[f"{key}.{name}.{part}_error"] = mean_ci(kept[name], seed)
        if not whole.any():
            results.not_computed[f"{key}.*{part}_*"] = UNKNOWN
            continue
        results.values[f"{key}.{part}_gain"] = mean_ci(kept["with"] - kept["removed"], seed)
        if "rebuilt" in kept:
            results.values[f"{key}.{part}_gain_over_rebuilt"] = mean_ci(kept["rebuilt"] - kept["removed"], seed)


SHOWN = 6
FRESH = 1_000_003  # added to the seed, so that no model is trained on these drawn faces
NO_TRUTH = (
    "the faces come without landmarks: put CelebA's list_landmarks_align_celeba.txt beside img_align_celeba; "
    "other detectors and drawn faces stand in, under their own names"
)
NO_REBUILT = "the method has no autoencoder: without an edit the face is the photograph itself"
OUTSIDE = "the model was not trained on drawn faces: what it makes of them is outside what it learned"
Images = NDArray[np.uint8]
PointsByDetector = dict[str, Points]  # [N, 5, 2]
ReferenceOf = Callable[[str], Points]  # from a set to its reference [N, 5, 2]


@dataclass(frozen=True)
class RemovalSettings:
    """What is removed from faces of the source, and from so many `drawn` faces.

    strength  as for `Editor.edit`, from -1 to below 0; None is the paper's own setting of the method
    """

    attribute: str = "Eyeglasses"
    strength: float | None = -1.0
    drawn: int = 200


@dataclass(frozen=True)
class ShownFaces:
    """Faces to show: images [K, S, S, 3] and detected points [K, 5, 2] by set, and the reference points with their name."""

    title: str
    images: dict[str, NDArray[np.uint8]]
    points: dict[str, Points]
    reference: Points | None
    reference_name: str


@dataclass(frozen=True)
class LandmarkResult:
    """Metrics, the pairs of detector and reference, and faces with their points."""

    metrics: Metrics
    pairs: Sequence[DetectorPair]
    shown: Sequence[ShownFaces]


@dataclass
class _Measurement:
    """The state of a measurement: settings, progress, and the results so far."""

    editor: Editor
    detectors: Sequence[LandmarkDetector]
    removal: RemovalSettings
    seed: int
    progress: Progress
    results: Metrics = field(default_factory=Metrics)
    pairs: list[DetectorPair] = field(default_factory=list)

    def read(self, pictures: Mapping[str, Images], crop: str | None) -> dict[str, PointsByDetector]:
        """The points of each detector, by set."""
        aimed = [detector.aimed(crop) for detector in self.detectors]
        landmarks: dict[str, PointsByDetector] = {}
        for name, images in pictures.items():
            landmarks[name] = {}
            for detector in aimed:
                landmarks[name][detector.name] = detected(detector, images, self.progress.advance).astype(np.float32)
        return landmarks

    def edited(self, images: Images) -> dict[str, Images]:
        """Faces with the attribute, the same after removal, and rebuilt if the model has an autoencoder."""
        images = np.ascontiguousarray(images)
        made = {"with": images, "removed": self.editor.edit_arrays(images, *self.setting())}
        if rebuilds(self.editor):
            made["rebuilt"] = self.editor.reconstruct_arrays(images)
        return made

    def setting(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The classes [A] and the method's amounts [A] that take the attribute away."""
        name, strength = self.removal.attribute, self.removal.strength
        if strength is not None:
            return self.editor.setting(**{name: strength})
        selected = np.array([other == name for other in self.editor.attributes], np.float32)
        return 0 * selected, selected * np.float32(self.editor.backend.paper_amount)

    def compare(
        self,
        landmarks: Mapping[str, PointsByDetector],
        detector: str,
        reference: str,
        reference_of: ReferenceOf,
        words: str,
    ) -> None:
        """Add the errors of a detector against a reference, whose points of a set `reference_of(set)` gives."""
        self.pairs.append(DetectorPair(reference, detector, words))
        points_of = {name: (points[detector], reference_of(name)) for name, points in landmarks.items()}
        add_errors(self.results, self.pairs[-1].key, points_of, self.seed)


def rebuilds(editor: Editor) -> bool:
    """Whether the model reconstructs faces; if not, a face without an edit is the photograph."""
    return editor.can("autoencode")


def measure_landmarks(
    session: Session, detectors: Sequence[LandmarkDetector], removal: RemovalSettings, progress: ProgressLike = None
) -> LandmarkResult:
    """The errors of each detector on each set against each reference, and what removal gains.

    Keys are `landmarks.REFERENCE.DETECTOR.SET.eye_error` and `….rest_error` (nose and mouth), `….eye_gain` (with less
    removed, paired by face), `….eye_gain_over_rebuilt`, the same gains of the rest, and `landmarks.found.DETECTOR.SET`. A
    reference is `truth`, the landmarks of the faces; `beside-OTHER`, another detector on the same picture; `photo-OTHER`,
    another detector on the photograph; `drawn`, the same detector on the true counterfactual of drawn faces; or
    `drawn-truth`, where drawn faces have their parts. `limit` is of each class. Raises VisagistError if attribute, strength,
    sizes or numbers do not fit.
    """
    started = time.perf_counter()
    editor, faces, settings = session.editors[0], session.faces[0], session.settings
    _check(editor, faces, removal)
    rows = {name: _draw_rows(faces, settings, removal.attribute, side) for name, side in (("without", 0), ("with", 1))}
    shown_rows = np.concatenate(list(rows.values()))
    dependent = check_unseen(editor.name, editor.description, faces, shown_rows, settings.allow_dependent)
    drawable = removal.attribute in ATTRIBUTES
    number, kinds = removal.drawn if drawable else 0, 3 if rebuilds(editor) else 2
    total = len(detectors) * (len(rows["without"]) + kinds * len(rows["with"]) + (kinds + 1) * number)
    with progress_of(progress, "finding landmarks") as bar:
        bar.stage("finding landmarks", total, "pictures")
        gain = _Measurement(editor, detectors, removal, settings.seed, bar)
        shown = [_photographs(gain, faces, rows)]
        if number:
            shown.append(_drawn(gain, SyntheticFaces(number, image_size=editor.image_size, seed=FRESH + settings.seed)))
        bar.finish()
    if not number:
        why = "none was asked for" if drawable else f"drawn faces have no {removal.attribute}"
        gain.results.not_computed.update({"landmarks.drawn.*": why, "landmarks.drawn-truth.*": why})
    if not rebuilds(editor):
        gain.results.not_computed["landmarks.*.rebuilt.*"] = NO_REBUILT
    results, counts = gain.results, {name: len(part) for name, part in rows.items()}
    results.manifest = _manifest(gain, session, counts, dependent, time.perf_counter() - started)
    return LandmarkResult(results, gain.pairs, shown)


def _check(editor: Editor, faces: Faces, removal: RemovalSettings) -> None:
    check_attributes([removal.attribute], editor.attributes, editor.name)
    check_available([removal.attribute], faces.names)
    if removal.strength is not None and not -1 <= removal.strength < 0:
        raise VisagistError(
            f"{removal.attribute}={removal.strength:g} takes nothing away: give a strength from -1 to below 0, such as -1"
        )
    if removal.drawn < 0:
        raise VisagistError(f"drawn is {removal.drawn}: give at least 0")
    check_size(editor, faces.images)


def _draw_rows(faces: Faces, settings: EvaluationSettings, attribute: str, label: int) -> NDArray[np.int64]:
    """Rows of at most `limit` faces of the split with this label, ascending."""
    rows = faces.indices(settings.split, {attribute: label})
    if not len(rows):
        verb = "has" if label else "lacks"
        raise VisagistError(f"no {settings.split} face {verb} {attribute}: give other faces or another split")
    return np.sort(np.random.default_rng(settings.seed).permutation(rows)[: settings.limit])


def _photographs(gain: _Measurement, faces: Faces, rows: Mapping[str, NDArray[np.int64]]) -> ShownFaces:
    """Compare on the faces of the source."""
    pictures = {"without": faces.images[rows["without"]], **gain.edited(faces.images[rows["with"]])}
    landmarks = gain.read(pictures, faces.manifest.get("crop"))
    names = [detector.name for detector in gain.detectors]
    for name, by_detector in landmarks.items():
        for detector, points in by_detector.items():
            detected_eyes = np.isfinite(points[:, PARTS["eye"]]).all((1, 2))
            gain.results.values[f"landmarks.found.{detector}.{name}"] = mean_ci(detected_eyes, gain.seed)
    photo = {name: points for name, points in landmarks.items() if name != "without"}
    reference, reference_name = None, ""
    if len(names) > 1:
        reference, reference_name = landmarks["with"][names[-1]], f"{names[-1]} on the photograph"
    if faces.landmarks is None or faces.landmarks.shape[1:] != (5, 2):
        gain.results.not_computed["landmarks.truth.*"] = NO_TRUTH
    else:
        truth = {name: faces.landmarks[rows["without" if name == "without" else "with"]] for name in landmarks}
        reference, reference_name = truth["with"], "truth"
        for name in names:
            gain.compare(landmarks, name, "truth", truth.__getitem__, "truth: the landmarks that the faces come with")
    for detector, other in combinations(names, 2):
        words = f"a stand-in for truth: {other} on the same picture"
        gain.compare(landmarks, detector, f"beside-{other}", _of_detector(landmarks, other), words)
        words = f"a stand-in for truth: {other} on the photograph"
        gain.compare(photo, detector, f"photo-{other}", _of_every_set(landmarks["with"][other]), words)
    removal = {name: images for name, images in pictures.items() if name != "without"}
    return _shown_faces(gain, "Faces", removal, landmarks, reference, reference_name)


def _drawn(gain: _Measurement, source: SyntheticFaces) -> ShownFaces:
    """Compare on drawn faces, each with the attribute and without it, all else the same."""
    labels: list[dict[str, int]] = [{gain.removal.attribute: value} for value in (1, 0)]
    with_it, without_it = (np.stack([source.counterfactual(i, **label) for i in range(len(source))]) for label in labels)
    pictures = {"without": without_it, **gain.edited(with_it)}
    landmarks, truth = gain.read(pictures, "drawn"), source.all_landmarks()
    changed = {name: points for name, points in landmarks.items() if name != "without"}
    for detector in gain.detectors:
        own = landmarks["without"][detector.name]
        words = f"a stand-in for truth: drawn faces, {detector.name} itself on the same face drawn without"
        gain.compare(changed, detector.name, "drawn", _of_every_set(own), words)
        words = "drawn faces: where their parts are drawn"
        gain.compare(landmarks, detector.name, "drawn-truth", _of_every_set(truth), words)
    return _shown_faces(gain, "Drawn faces", pictures, landmarks, truth, "where they are drawn")


def _of_every_set(points: Points) -> ReferenceOf:
    return lambda _: points


def _of_detector(landmarks: Mapping[str, PointsByDetector], detector: str) -> ReferenceOf:
    return lambda name: landmarks[name][detector]


def _shown_faces(
    gain: _Measurement,
    title: str,
    pictures: Mapping[str, Images],
    landmarks: Mapping[str, PointsByDetector],
    reference: Points | None,
    reference_name: str,
) -> ShownFaces:
    """A few faces, chosen by the seed, with the points of the first detector."""
    rows = np.random.default_rng(gain.seed).permutation(len(pictures["with"]))[:SHOWN]
    first = gain.detectors[0].name
    return ShownFaces(
        title,
        {name: images[rows] for name, images in pictures.items()},
        {name: landmarks[name][first][rows] for name in pictures},
        None if reference is None else reference[rows],
        reference_name,
    )


def _manifest(
    gain: _Measurement, session: Session, counts: Mapping[str, int], dependent: list[str], seconds: float
) -> dict[str, Any]:
    editor, faces, removal, settings = gain.editor, session.faces[0], gain.removal, session.settings
    trained = str((editor.description.get("data") or {}).get("source"))
    terms = sorted({str(detector.about["terms"]) for detector in gain.detectors if "terms" in detector.about})
    stands_in = [NO_TRUTH] if "landmarks.truth.*" in gain.results.not_computed else []
    notes = [*notes_on_dependence(dependent), *terms, *stands_in]
    facts = {
        "model": {**model_facts(editor), "method": method_name(editor), "trained_on": trained},
        "edit": {
            removal.attribute: "the paper's own setting" if removal.strength is None else f"strength {removal.strength:g}"
        },
        "data": {
            **data_facts(faces, settings, [removal.attribute]), "n_without": counts["without"], "n_with": counts["with"],
            "drawn": removal.drawn,
        },
        "detectors": [{"name": detector.name, **detector.about} for detector in gain.detectors],
        "comparisons": [{"key": pair.key, "reference": pair.words} for pair in gain.pairs],
        "terms": terms,
        "independence": independence_facts(editor, None, dependent),
        "notes": [*notes, *([] if trained.startswith("synthetic") else [OUTSIDE])],
        "definitions": {
            "error": "distance over the reference's distance between the eyes, mean over points, then over faces",
            "gain": "error with the attribute less error after removal, of the same faces",
            "interval": INTERVAL,
        },
        "seed": settings.seed,
    }  # fmt: skip
    return build_manifest(facts, seconds)
