"""What the commands measure, as functions: `visagist.evaluate` and its like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visagist import judges
from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.judges import CALIBRATING_JUDGE, SCORING_JUDGE, load_judge
from visagist.pipelines.calibrate import faces_for
from visagist.training.distributed import pick_device

if TYPE_CHECKING:
    from visagist.editing.editor import Editor
    from visagist.evaluation import Metrics
    from visagist.evaluation.extractors.face_api_judge import FaceApiJudge
    from visagist.evaluation.extractors.onnx import Embedder, OnnxClassifier
    from visagist.evaluation.extractors.squeezenet import FeatureNetwork
    from visagist.latent.direction_types import Direction


def _embedder(identity: Embedder | str | Path | None) -> Embedder | None:
    """The embedder itself, or the one in the ONNX file that is named."""
    from visagist.evaluation import OnnxEmbedder

    return OnnxEmbedder(identity) if isinstance(identity, (str, Path)) else identity


def _faces_for_each(editors: Sequence[Editor], data: str | Faces, crop: str | None, show: bool) -> list[Faces]:
    """The faces as each model sees them, loaded once for each size and crop."""
    sizes: dict[tuple[int, Any], Faces] = {}
    forms = [(editor.image_size, editor.description.get("crop")) for editor in editors]
    for editor, form in zip(editors, forms):
        if form not in sizes:
            sizes[form] = faces_for(editor.description, data, crop, show)
    return [sizes[form] for form in forms]


def evaluate(
    model: str | Path,
    data: str | Faces,
    *,
    split: str = "test",
    out: Path | str | None = None,
    judge: str | Path = SCORING_JUDGE,
    identity: Embedder | str | Path | None = None,
    features: FeatureNetwork | str | None = None,
    classifier: OnnxClassifier | str | Path | None = None,
    second: FaceApiJudge | str | None = None,
    recovery: int = 0,
    limit: int | None = None,
    attributes: Sequence[str] | None = None,
    seed: int = 0,
    crop: str | None = None,
    device: str = "auto",
    allow_dependent: bool = False,
    show: bool = False,
) -> Metrics:
    """Measure a model on the faces of a split; writes `metrics.json`, `metrics.csv` and `report.html` into `out`.

    model   zoo name, run or checkpoint folder, or hub:owner/name; of a judge its own accuracy is measured, without a page
    identity  a face embedder, or the path of one as ONNX, for `identity.*`
    features  a feature network, or what `load_features` takes, for `realism.*`
    classifier  an ImageNet classifier, or the path of one as ONNX, for `inception.*`
    second  a judge of another family, or what `load_second` takes, for `second.*`
    recovery  train fresh decoders of the code on so many training faces, for `leakage.A.decoder`; 0: do not
    limit   at most so many faces, drawn by the seed
    attributes  some of those that the model edits; all by default
    crop    of the data; by default the model's own for CelebA's pictures, else the source's
    allow_dependent  measure what is not judged independently all the same, and say so on top of the report
    Returns the metrics, each with value, low, high and n. Raises VisagistError for all that a person can put right.
    """
    from visagist.editing.editor import Editor
    from visagist.evaluation import evaluate as measure
    from visagist.evaluation import load_features
    from visagist.evaluation.extractors.face_api_judge import load_second
    from visagist.evaluation.extractors.onnx import OnnxClassifier
    from visagist.evaluation.judge_accuracy import evaluate_judge

    folder = None if out is None else Path(out).expanduser()
    if judges.is_judge(model):
        if attributes is not None:
            raise VisagistError(f"{model} is a judge, which is measured on all that it reads: leave attributes out")
        judged = load_judge(model, str(pick_device(device)))
        faces = faces_for(judged.description, data, crop, show)
        return evaluate_judge(
            judged, faces, split=split, out=folder, seed=seed, limit=limit, allow_dependent=allow_dependent
        )
    embed = _embedder(identity)
    network = load_features(features) if isinstance(features, str) else features
    asked = OnnxClassifier(classifier) if isinstance(classifier, (str, Path)) else classifier
    another = load_second(second) if isinstance(second, str) else second
    editor = Editor.from_pretrained(model, device)
    faces = faces_for(editor.description, data, crop, show)
    scorer = load_judge(judge, str(pick_device(device)))
    return measure(
        editor, faces, judge=scorer, split=split, out=folder, seed=seed, limit=limit,
        attributes=attributes, identity=embed, features=network, classifier=asked, second=another, recovery=recovery,
        progress=show, allow_dependent=allow_dependent,
    )  # fmt: skip


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
    show: bool = False,
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
    from visagist.editing.editor import Editor
    from visagist.evaluation import compare_directions as comparison

    embed = _embedder(identity)
    editor = Editor.from_pretrained(model, device)
    faces = faces_for(editor.description, data, crop, show)
    plan = comparison.plan_comparison(
        editor, faces, attributes, condition_on,
        split=split, seed=seed, limit=limit, fitted_on=train, calibrated_on=number, step=step,
    )  # fmt: skip
    found = str(pick_device(device))
    return comparison.compare_directions(
        editor, faces, plan, judge=load_judge(judge, found), calibrator=load_judge(CALIBRATING_JUDGE, found),
        out=None if out is None else Path(out).expanduser(), identity=embed, progress=show,
        allow_dependent=allow_dependent,
    )  # fmt: skip


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
    show: bool = False,
) -> Metrics:
    """Edit the same faces by several models and measure what else changes; see `visagist correlations --help`.

    among, watched      labels of the faces; attributes to show
    directions, kinds   files that `compare_directions` wrote for some of the models, and of which kinds; None for all
    out                 folder for `correlations.json`, `.csv` and `.html`; None writes nothing
    Faces must be a source where models differ in size. Raises VisagistError for all that a person can put right.
    """
    from visagist.editing.direction_editor import saved_for
    from visagist.editing.editor import Editor
    from visagist.evaluation import side_effects as question

    embed, found = _embedder(identity), str(pick_device(device))
    own = [Editor.from_pretrained(model, device) for model in models]
    along = [editor for path in directions for editor in saved_for(path, own, attribute, kinds)]
    edits = [editor for editor in own if editor.can("edit") or not along]
    return question.correlate(
        [*edits, *along],
        _faces_for_each([*edits, *along], data, crop, show),
        question.Question(
            attribute, strength, dict(among or {}), None if watched is None else tuple(watched), split, seed, limit
        ),
        judge=load_judge(judge, found), second=load_judge(CALIBRATING_JUDGE, found),
        out=None if out is None else Path(out).expanduser(), identity=embed, progress=show,
        allow_dependent=allow_dependent,
    )  # fmt: skip


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
    limit: int | None = None,
    each: int | None = None,
    seed: int = 0,
    crop: str | None = None,
    device: str = "auto",
    allow_dependent: bool = False,
    show: bool = False,
) -> Metrics:
    """Measure two models or more on the same faces and set them side by side; see `visagist compare --help`.

    attributes  some that a model edits; by default all that two edit and the faces are labelled with, else that one does
    identity, features  as for `evaluate`
    limit       at most so many faces of the split, drawn by the seed
    each        instead, of one attribute: at most so many that have it and as many that lack it
    out         folder for `compare.json`, `.csv` and `.html`; None writes nothing
    Faces must be a source where models differ in size. Raises VisagistError for all that a person can put right.
    """
    from visagist.editing.editor import Editor
    from visagist.evaluation import compare as comparison
    from visagist.evaluation import load_features

    embed = _embedder(identity)
    network = load_features(features) if isinstance(features, str) else features
    editors = [Editor.from_pretrained(model, device) for model in models]
    return comparison.compare(
        editors, _faces_for_each(editors, data, crop, show),
        comparison.Comparison(None if attributes is None else tuple(attributes), split, seed, limit, each),
        judge=load_judge(judge, str(pick_device(device))),
        out=None if out is None else Path(out).expanduser(), identity=embed, features=network, progress=show,
        allow_dependent=allow_dependent,
    )  # fmt: skip


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
    show: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Metrics:
    """Recognise attributes by linear SVMs on the codes of each model and of all together; see `visagist recognise --help`.

    attributes    some that the faces are labelled with; None for all
    limit, train  at most so many faces of the split, and of the training split, drawn by the seed
    out           folder for `recognition.json`, `.csv` and `.html`; None writes nothing
    progress      is told how many SVMs of how many are fitted
    """
    from visagist.editing.editor import Editor
    from visagist.evaluation import recognition
    from visagist.latent.codes import nobody

    editors = [Editor.from_pretrained(model, device) for model in models]
    if not editors:
        raise VisagistError("no model is named: give one with a code, or several")
    faces = faces_for(editors[0].description, data, crop, show)
    if attributes is not None:
        faces = faces.with_attributes(attributes)
    plan = recognition.Recognition(split, limit, train, seed)
    folder = None if out is None else Path(out).expanduser()
    return recognition.recognise(editors, faces, plan, out=folder, progress=progress or nobody)


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
    show: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Metrics:
    """Measure how much better landmarks are found once a model has taken the glasses away; see `visagist landmarks --help`.

    attribute, strength  what is taken away, and how far: from -1 to below 0, or None for the paper's own setting
    detectors   names as `load_detectors` takes them; by default dlib's of 68 and of 5 points
    limit       at most so many faces with the attribute, and as many without, drawn by the seed
    drawn       drawn faces, each rendered with the attribute and without
    out         folder for `landmarks.json`, `.csv` and `.html`; None writes nothing
    progress    is told how many readings of how many are done
    Raises VisagistError for all that a person can put right.
    """
    from visagist.editing.editor import Editor
    from visagist.evaluation.extractors.landmark_detectors import DEFAULT, load_detectors
    from visagist.evaluation.landmark_gain import Removal, measure_landmarks
    from visagist.latent.codes import nobody

    editor = Editor.from_pretrained(model, device)
    loaded = load_detectors(DEFAULT if detectors is None else detectors)
    faces = faces_for(editor.description, data, crop, show)
    plan = Removal(attribute, strength, split, limit, drawn, seed)
    folder = None if out is None else Path(out).expanduser()
    return measure_landmarks(
        editor, faces, loaded, plan, out=folder, allow_dependent=allow_dependent, progress=progress or nobody
    )
