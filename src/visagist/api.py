"""What the commands measure, as functions: `visagist.evaluate` and its like.

Each takes names, opens a `Session`, hands it to its protocol and writes what that returns. The `report_…` functions do the
second half, for a caller who has a session already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from visagist import judges
from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.files import check_writable, write_files
from visagist.judges import SCORING_JUDGE, load_judge
from visagist.pipelines.calibrate import faces_for
from visagist.progress import ProgressLike
from visagist.training.distributed import pick_device

if TYPE_CHECKING:
    from visagist.editing.editor import Editor
    from visagist.evaluation import Metrics
    from visagist.evaluation.compare import CompareSettings
    from visagist.evaluation.compare_directions import DirectionSettings, DirectionsResult
    from visagist.evaluation.context import PanelJudge, PictureDistance
    from visagist.evaluation.extractors.face_api_judge import FaceApiJudge
    from visagist.evaluation.extractors.landmark_detectors import LandmarkDetector
    from visagist.evaluation.extractors.onnx import Embedder, OnnxClassifier
    from visagist.evaluation.extractors.squeezenet import FeatureNetwork
    from visagist.evaluation.landmark_gain import RemovalSettings
    from visagist.evaluation.photographs.protocol import PhotographSettings
    from visagist.evaluation.session import EvaluationSettings, Session
    from visagist.evaluation.side_effects import SideEffectSettings
    from visagist.judges import Judge
    from visagist.latent.direction_types import Direction


def open_session(
    models: Sequence[str | Path | Editor], data: str | Faces, settings: EvaluationSettings, *, progress: ProgressLike = None
) -> Session:
    """Load models, the networks that the settings name, and the faces at each model's size and crop.

    Faces must be a source where models differ in size. Raises VisagistError for all that a person can put right.
    """
    from visagist.editing.editor import Editor
    from visagist.evaluation.session import load_networks, session_of

    if not models:
        raise VisagistError("no model is named: give one, or several")
    settings = load_networks(settings)
    editors = [
        model if isinstance(model, Editor) else Editor.from_pretrained(model, settings.device) for model in models
    ]
    forms = [(editor.image_size, editor.description.get("crop")) for editor in editors]
    by_form: dict[tuple[int, Any], Faces] = {}
    for editor, form in zip(editors, forms):
        if form not in by_form:
            by_form[form] = faces_for(editor.description, data, settings.crop, progress)
    return session_of(editors, [by_form[form] for form in forms], settings)


def open_side_effect_session(
    models: Sequence[str | Path],
    data: str | Faces,
    settings: EvaluationSettings,
    attribute: str,
    directions: Sequence[str | Path] = (),
    kinds: Sequence[str] | None = None,
    *,
    progress: ProgressLike = None,
) -> Session:
    """Open a session of the models that edit and of the saved directions of an attribute in their codes.

    directions, kinds   files that `compare_directions` wrote for some of the models, and of which kinds; None for all
    """
    from visagist.editing.direction_editor import saved_for
    from visagist.editing.editor import Editor
    from visagist.evaluation.session import load_networks

    settings = load_networks(settings)
    own = [Editor.from_pretrained(model, settings.device) for model in models]
    along = [editor for path in directions for editor in saved_for(path, own, attribute, kinds)]
    return open_session([*(e for e in own if e.can("edit") or not along), *along], data, settings, progress=progress)


def evaluate(
    model: str | Path,
    data: str | Faces,
    *,
    split: str = "test",
    out: Path | str | None = None,
    judge: str | Path = SCORING_JUDGE,
    identity: Embedder | str | Path | None = None,
    features: FeatureNetwork | str | None = None,
    perceptual: PictureDistance | str | None = None,
    classifier: OnnxClassifier | str | Path | None = None,
    second: FaceApiJudge | str | None = None,
    judges: Sequence[PanelJudge | FaceApiJudge | str | Path] = (),
    recovery: int = 0,
    limit: int | None = None,
    attributes: Sequence[str] | None = None,
    seed: int = 0,
    crop: str | None = None,
    device: str = "auto",
    allow_dependent: bool = False,
    without: Sequence[str] = (),
    progress: ProgressLike = None,
    show: bool = False,
) -> Metrics:
    """Measure a model on the faces of a split; writes `metrics.json`, `metrics.csv` and `report.html` into `out`.

    model   zoo name, run or checkpoint folder, or hub:owner/name; of a judge its own accuracy is measured, without a page
    identity  a face embedder, `dlib`, or the path of one as ONNX, for `identity.*`
    features  a feature network, or what `load_features` takes, for `realism.*`; with Inception also FID, KID and IS
    perceptual  a distance of pictures, or what `load_distance` takes, for `reconstruction.perceptual.*`: LPIPS
    classifier  an ImageNet classifier, or the path of one as ONNX, for `inception.*`
    second  a judge of another family, or what `load_second` takes, for `second.*`
    judges  judges of other kinds, or their names: face-api:FOLDER, geometry; the lowest is the figure of `panel.*`
    recovery  train fresh decoders of the code on so many training faces, for `leakage.A.decoder`; 0: do not
    limit   at most so many faces, drawn by the seed
    attributes  some of those that the model edits; all by default
    crop    of the data; by default the model's own for CelebA's pictures, else the source's
    allow_dependent  measure what is not judged independently all the same, and say so on top of the report
    without     families of figures that are left out, such as leakage
    progress    what follows the work; `show` without it is a bar on stderr
    Returns the metrics, each with value, low, high and n. Raises VisagistError for all that a person can put right.
    """
    from visagist.evaluation.session import EvaluationSettings

    settings = EvaluationSettings(
        split, limit, seed, crop, device, judge, identity=identity, features=features, perceptual=perceptual,
        classifier=classifier, second=second, judges=tuple(judges), allow_dependent=allow_dependent, without=tuple(without),
    )  # fmt: skip
    return evaluate_model(model, data, settings, attributes, recovery, out, progress=progress or show)


def compare_directions(
    model: str | Path,
    data: str | Faces,
    *,
    attributes: Sequence[str] | None = None,
    condition_on: Sequence[str] | None = None,
    split: str = "test",
    out: Path | str | None = None,
    judge: str | Path = SCORING_JUDGE,
    identity: Embedder | str | Path | None = None,
    limit: int | None = 1000,
    train: int | None = 10_000,
    number: int = 100,
    step: float = 3.0,
    seed: int = 0,
    crop: str | None = None,
    device: str = "auto",
    allow_dependent: bool = False,
    progress: ProgressLike = None,
) -> tuple[Metrics, list[Direction]]:
    """Fit every kind of direction in a model's code and measure them side by side; see `visagist directions --help`.

    attributes    what to edit: any that the faces are labelled with, by default those of the model
    condition_on  what to hold still: () for nothing, None for Male where the faces are labelled with it
    limit, train  at most so many faces of the split, and of the training split, drawn by the seed; None for all
    number        validation faces of each class that strength is fitted on
    step          the equal length, in standard deviations of the codes along the attribute's mean difference
    out           folder for `directions.json`, `.csv`, `.html` and `.safetensors`; None writes nothing
    Raises VisagistError for all that a person can put right.
    """
    from visagist.evaluation.compare_directions import check_direction_settings
    from visagist.evaluation.session import EvaluationSettings

    settings = EvaluationSettings(
        split, limit, seed, crop, device, judge, identity=identity, allow_dependent=allow_dependent
    )
    session = open_session([model], data, settings, progress=progress)
    asked = check_direction_settings(
        session, attributes, condition_on, fitted_on=train, calibrated_on=number, step=step
    )
    return report_directions(session, asked, out, progress=progress)


def correlations(
    models: Sequence[str | Path],
    data: str | Faces,
    attribute: str,
    strength: float,
    *,
    among: Mapping[str, int] | None = None,
    watched: Sequence[str] | None = None,
    directions: Sequence[str | Path] = (),
    kinds: Sequence[str] | None = None,
    split: str = "test",
    out: Path | str | None = None,
    judge: str | Path = SCORING_JUDGE,
    identity: Embedder | str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    crop: str | None = None,
    device: str = "auto",
    allow_dependent: bool = False,
    progress: ProgressLike = None,
) -> Metrics:
    """Edit the same faces by several models and measure what else changes; see `visagist correlations --help`.

    among, watched      labels of the faces; attributes to show
    directions, kinds   files that `compare_directions` wrote for some of the models, and of which kinds; None for all
    out                 folder for `correlations.json`, `.csv` and `.html`; None writes nothing
    Faces must be a source where models differ in size. Raises VisagistError for all that a person can put right.
    """
    from visagist.evaluation.session import EvaluationSettings
    from visagist.evaluation.side_effects import SideEffectSettings

    settings = EvaluationSettings(
        split, limit, seed, crop, device, judge, identity=identity, allow_dependent=allow_dependent
    )
    session = open_side_effect_session(models, data, settings, attribute, directions, kinds, progress=progress)
    asked = SideEffectSettings(attribute, strength, dict(among or {}), None if watched is None else tuple(watched))
    return report_side_effects(session, asked, out, progress=progress)


def compare(
    models: Sequence[str | Path],
    data: str | Faces,
    *,
    attributes: Sequence[str] | None = None,
    split: str = "test",
    out: Path | str | None = None,
    judge: str | Path = SCORING_JUDGE,
    identity: Embedder | str | Path | None = None,
    features: FeatureNetwork | str | None = None,
    judges: Sequence[PanelJudge | FaceApiJudge | str | Path] = (),
    limit: int | None = None,
    each: int | None = None,
    seed: int = 0,
    crop: str | None = None,
    device: str = "auto",
    allow_dependent: bool = False,
    progress: ProgressLike = None,
    show: bool = False,
) -> Metrics:
    """Measure two models or more on the same faces and set them side by side; see `visagist compare --help`.

    attributes  some that a model edits; by default all that two edit and the faces are labelled with, else that one does
    identity, features, judges  as for `evaluate`
    limit       at most so many faces of the split, drawn by the seed
    each        instead, of one attribute: at most so many that have it and as many that lack it
    out         folder for `compare.json`, `.csv` and `.html`; None writes nothing
    progress    what follows the work; `show` without it is a bar on stderr
    Faces must be a source where models differ in size. Raises VisagistError for all that a person can put right.
    """
    from visagist.evaluation.compare import CompareSettings
    from visagist.evaluation.session import EvaluationSettings

    shown = progress or show
    settings = EvaluationSettings(
        split, limit, seed, crop, device, judge, identity=identity, features=features, judges=tuple(judges),
        allow_dependent=allow_dependent,
    )  # fmt: skip
    asked = CompareSettings(None if attributes is None else tuple(attributes), each)
    return report_comparison(open_session(models, data, settings, progress=shown), asked, out, progress=shown)


def recognise(
    models: Sequence[str | Path],
    data: str | Faces,
    *,
    attributes: Sequence[str] | None = None,
    split: str = "test",
    out: Path | str | None = None,
    limit: int | None = None,
    train: int | None = None,
    seed: int = 0,
    crop: str | None = None,
    device: str = "auto",
    progress: ProgressLike = None,
) -> Metrics:
    """Recognise attributes by linear SVMs on the codes of each model and of all together; see `visagist recognise --help`.

    attributes    some that the faces are labelled with; None for all
    limit, train  at most so many faces of the split, and of the training split, drawn by the seed
    out           folder for `recognition.json`, `.csv` and `.html`; None writes nothing
    progress      follows the work; a function is called with how many SVMs of how many are fitted
    """
    from visagist.evaluation.session import EvaluationSettings

    settings = EvaluationSettings(split, limit, seed, crop, device)
    session = open_session(models, data, settings, progress=progress)
    return report_recognition(session, train, out, attributes=attributes, progress=progress)


def landmarks(
    model: str | Path,
    data: str | Faces,
    *,
    attribute: str = "Eyeglasses",
    strength: float | None = -1.0,
    detectors: Sequence[str] | None = None,
    split: str = "test",
    out: Path | str | None = None,
    limit: int | None = 1000,
    drawn: int = 200,
    seed: int = 0,
    crop: str | None = None,
    device: str = "auto",
    allow_dependent: bool = False,
    progress: ProgressLike = None,
) -> Metrics:
    """Measure how much better landmarks are found once a model has taken the glasses away; see `visagist landmarks --help`.

    attribute, strength  what is taken away, and how far: from -1 to below 0, or None for the paper's own setting
    detectors   names as `load_detectors` takes them; by default dlib's of 68 and of 5 points
    limit       at most so many faces with the attribute, and as many without, drawn by the seed
    drawn       drawn faces, each rendered with the attribute and without
    out         folder for `landmarks.json`, `.csv` and `.html`; None writes nothing
    progress    follows the work; a function is called with how many readings of how many are done
    Raises VisagistError for all that a person can put right.
    """
    from visagist.evaluation.extractors.landmark_detectors import DEFAULT, load_detectors
    from visagist.evaluation.landmark_gain import RemovalSettings
    from visagist.evaluation.session import EvaluationSettings

    settings = EvaluationSettings(split, limit, seed, crop, device, allow_dependent=allow_dependent)
    loaded = load_detectors(DEFAULT if detectors is None else detectors)
    session = open_session([model], data, settings, progress=progress)
    removal = RemovalSettings(attribute, strength, drawn)
    return report_landmarks(session, loaded, removal, out, progress=progress)


def evaluate_model(
    model: str | Path, data: str | Faces, settings: EvaluationSettings, attributes: Sequence[str] | None = None,
    recovery: int = 0, out: Path | str | None = None, *, progress: ProgressLike = None,
) -> Metrics:
    """Measure a model that is named, as `evaluate` does; a judge by `report_judge`."""
    if not judges.is_judge(model):
        session = open_session([model], data, settings, progress=progress)
        return report_evaluation(session, attributes, recovery, out, progress=progress)
    if attributes is not None:
        raise VisagistError(f"{model} is a judge, which is measured on all that it reads: leave attributes out")
    judged = load_judge(model, str(pick_device(settings.device)))
    return report_judge(judged, faces_for(judged.description, data, settings.crop, progress), settings, out)


def report_evaluation(
    session: Session, attributes: Sequence[str] | None = None, recovery: int = 0, out: Path | str | None = None,
    *, progress: ProgressLike = None,
) -> Metrics:
    """Measure the model of a session by `evaluation.evaluate`; `out` gets `metrics.json`, `.csv` and `report.html`."""
    from visagist.evaluation.evaluate import evaluate as measure
    from visagist.reports.evaluation_page import evaluation_page

    measured = partial(measure, session, attributes, recovery, progress)
    result = _report(out, "metrics", measured, lambda result: evaluation_page(result.metrics, result.strips), "report")
    return result.metrics


def report_judge(judge: Judge, faces: Faces, settings: EvaluationSettings, out: Path | str | None = None) -> Metrics:
    """Measure a judge by `judge_accuracy`; `out` gets `metrics.json` and `.csv`."""
    from visagist.evaluation.judge_accuracy import evaluate_judge

    measured = partial(evaluate_judge, judge, faces, settings)
    return _report(out, "metrics", measured, None).metrics


def report_comparison(
    session: Session, asked: CompareSettings, out: Path | str | None = None, *, progress: ProgressLike = None
) -> Metrics:
    """Compare the models of a session by `evaluation.compare`; `out` gets `compare.json`, `.csv` and `.html`."""
    from visagist.evaluation.compare import compare as measure
    from visagist.reports.comparison_page import comparison_page

    measured = partial(measure, session, asked, progress)
    return _report(out, "compare", measured, lambda result: comparison_page(result.metrics, result.albums)).metrics


def report_directions(
    session: Session, asked: DirectionSettings, out: Path | str | None = None, *, progress: ProgressLike = None
) -> tuple[Metrics, list[Direction]]:
    """Measure by `evaluation.compare_directions`; `out` gets `directions.json`, `.csv`, `.html` and `.safetensors`."""
    from visagist.editing.direction_editor import save_directions
    from visagist.evaluation.compare_directions import compare_directions as measure
    from visagist.reports.directions_page import direction_page

    def measured() -> DirectionsResult:
        result = measure(session, asked, progress)
        if out is not None:
            weights = session.editors[0].description.get("weights_sha256")
            save_directions(Path(out).expanduser() / "directions.safetensors", result.directions, weights)
        return result

    result = _report(out, "directions", measured, lambda result: direction_page(result.metrics, result.strips))
    return result.metrics, result.directions


def report_side_effects(
    session: Session, asked: SideEffectSettings, out: Path | str | None = None, *, progress: ProgressLike = None
) -> Metrics:
    """Measure by `evaluation.side_effects`; `out` gets `correlations.json`, `.csv` and `.html`."""
    from visagist.evaluation.side_effects import measure_side_effects
    from visagist.reports.side_effects_page import correlation_page

    measured = partial(measure_side_effects, session, asked, progress)
    return _report(out, "correlations", measured, lambda result: correlation_page(result.metrics, result.strips)).metrics


def report_recognition(
    session: Session, train: int | None = None, out: Path | str | None = None, *, attributes: Sequence[str] | None = None,
    progress: ProgressLike = None,
) -> Metrics:
    """Measure by `evaluation.recognition`, SVMs on at most `train` faces; `out` gets `recognition.json`, `.csv`, `.html`."""
    from visagist.evaluation.recognition import recognise as measure
    from visagist.reports.recognition_page import recognition_page

    measured = partial(measure, session, train, progress, attributes)
    return _report(out, "recognition", measured, lambda result: recognition_page(result.metrics)).metrics


def report_landmarks(
    session: Session,
    detectors: Sequence[LandmarkDetector],
    removal: RemovalSettings,
    out: Path | str | None = None,
    *,
    progress: ProgressLike = None,
) -> Metrics:
    """Measure by `evaluation.landmark_gain`; `out` gets `landmarks.json`, `.csv` and `.html`."""
    from visagist.evaluation.landmark_gain import measure_landmarks
    from visagist.reports.landmark_page import landmark_page

    result = _report(
        out, "landmarks", partial(measure_landmarks, session, detectors, removal, progress),
        lambda result: landmark_page(result.metrics, result.pairs, result.shown),
    )  # fmt: skip
    return result.metrics


def photographs(
    models: Sequence[str | Path], data: str, asked: PhotographSettings, out: Path | str | None = None, *,
    progress: ProgressLike = None,
) -> Metrics:  # fmt: skip
    """Edit photographs as a person gets them, read by judges of different kinds; see `visagist photographs --help`.

    data  a source of aligned pictures of CelebA's size
    out   folder for `photographs.json`, `.csv` and `.html`, which show faces; None writes nothing
    Raises VisagistError for all that a person can put right.
    """
    from visagist.evaluation.photographs.protocol import measure_photographs
    from visagist.reports.photographs_page import photographs_page

    measured = partial(measure_photographs, models, data, asked, progress)
    return _report(
        out, "photographs", measured, lambda result: photographs_page(result.metrics, result.strips)
    ).metrics


class _Measured(Protocol):
    @property
    def metrics(self) -> Metrics: ...


R = TypeVar("R", bound=_Measured)


def _report(
    out: Path | str | None, stem: str, measure: Callable[[], R], page: Callable[[R], str] | None, page_stem: str = ""
) -> R:
    """What `measure` returns; `out`, if it is given, gets STEM.json, STEM.csv and its page, or none of them.

    VisagistError before any work where they cannot be written. Where the work fails, no new folder is left.
    """
    from visagist.reports.files import tables

    if out is None:
        return measure()
    folder = Path(out).expanduser()
    with _new_folder(folder):
        check_writable(folder, stem)
        result = measure()
        texts = tables(result.metrics)
        files = {f"{stem}.json": texts["metrics.json"], f"{stem}.csv": texts["metrics.csv"]}
        write_files(folder, files if page is None else {**files, f"{page_stem or stem}.html": page(result)})
    return result


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """Remove what was made of this path after an error, unless something lies in it."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        for path in made:
            with suppress(OSError):
                path.rmdir()
        raise
