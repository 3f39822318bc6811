"""Runs of reproductions. A folder is named by the hash of its training settings, so that no model is trained twice."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from visagist import api, methods
from visagist.attributes import check_set, with_derived
from visagist.boundary.ownership import carries_mark, list_entries
from visagist.boundary.schema import json_text, read_json, read_object
from visagist.checkpoints import checkpoint
from visagist.data.faces import IDENTIFYING, Faces
from visagist.editing.direction_editor import by_vectors
from visagist.editing.editor import Editor
from visagist.environment import code_of_training, machine_class
from visagist.errors import VisagistError
from visagist.evaluation import Metrics
from visagist.evaluation.extractors.landmark_detectors import Finds
from visagist.evaluation.extractors.squeezenet import FeatureNetwork
from visagist.evaluation.results import MOST_METRICS_BYTES, StoredMetrics
from visagist.files import sha256_of, sha256_of_json, write_file
from visagist.judges import SCORING_JUDGE, load_judge
from visagist.latent.attribute_vectors import NUMBER
from visagist.networks.pretrained.vgg19 import load_vgg19
from visagist.pipelines.calibrate import calibrate_run
from visagist.pipelines.train import train
from visagist.progress import Progress, ProgressLike
from visagist.recipes import Recipe
from visagist.training.distributed import pick_device
from visagist.training.precision import resolve_precision

_HASH = re.compile("[0-9a-f]{16}")
SETTINGS_FILE = "what-was-trained.json"
# Settings added later, at the values that train as before: left out of the hash, so that older runs keep their folder.
LATER_SETTINGS = {
    "sync_batch_norm": True,
    "data_on_device": "auto",
    "transport": "none",
    "label_form": "signed",
    "clipped": "weights",
    "architecture": "shared",
    "decoder_loss": "minimax",
    "gan_terms": "printed",
    "rest_below": 0.0,
    "auxiliary_layers": 2,
    "auxiliary_steps": 1,
    "auxiliary_members": 1,
    "auxiliary_restart_images": 0,
    "auxiliary_sees": "sample",
    "auxiliary_goal": "fail",
    "auxiliary_warmup_images": 0,
    "erasure": "none",
    "erasure_decay": 0.99,
    "independence_weight": 0.0,
    "information_weight": 0.0,
}


@dataclass(frozen=True)
class Run:
    """A folder of `OUT/runs`, its recipe, the attributes it learns, and what else decides what it becomes."""

    folder: Path
    recipe: Recipe
    attributes: tuple[str, ...]
    circumstances: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Path | None = None  # a finished run of the same settings that other circumstances made
    vectors: tuple[str, ...] = ()  # attributes that are edited along vectors fitted to it

    @property
    def model(self) -> Path:
        """The checkpoint that is measured."""
        return checkpoint.best_checkpoint(self.measured)

    @property
    def measured(self) -> Path:
        """The folder whose model is measured and edits: the run, or a copy in it that has vectors."""
        return self.folder / f"along-{sha256_of_json(list(self.vectors))[:8]}" if self.vectors else self.folder

    def finished(self) -> bool:
        """Whether the training is complete."""
        return _is_finished(self.folder)


@dataclass(frozen=True)
class Judging:
    """How all rows of a reproduction are measured.

    identity   path of a face embedder as ONNX, or None
    given      the options of the command that name both networks
    any_code   use finished runs of other code, precision or machines again
    detector   of landmarks, for pictures of turned faces
    judges     of other kinds than the scorer, by name
    """

    limit: int | None
    seed: int
    device: str
    identity: Path | None = None
    features: FeatureNetwork | None = None
    given: tuple[str, ...] = ()
    detector: Finds | None = None
    any_code: bool = False
    judges: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


def learnable(recipe: Recipe, *faces: Faces) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split the recipe's attributes: those that all of these faces are labelled with, and the others."""
    names = check_set(recipe.attribute_set) if recipe.attribute_set else recipe.attributes
    labelled = set.intersection(*(set(with_derived(some.names)) for some in faces))
    return tuple(n for n in names if n in labelled), tuple(n for n in names if n not in labelled)


def network_missing(recipe: Recipe) -> str | None:
    """Why the pretrained network of the recipe's loss is not available; None where it is, or where none is needed."""
    if not hasattr(recipe.config, "feature_weights"):
        return None
    try:
        load_vgg19(recipe.config.feature_weights)
    except VisagistError as error:
        return str(error)
    return None


def holds_runs(path: Path) -> bool:
    """Whether a path is a folder of runs: every folder in it is named by a hash."""
    if path.name != "runs" or path.is_symlink() or not path.is_dir():
        return carries_mark(path)
    return all(_HASH.fullmatch(run.name) for run in list_entries(path))


def circumstances_of(recipe: Recipe, device: str) -> dict[str, str]:
    """What besides its settings decides what a training becomes: precision, kind of machine, version of the code."""
    place = pick_device(device)
    return {
        "computed_in": resolve_precision(recipe.training.precision, place),
        "machine": machine_class(place),
        "code": code_of_training(),
    }


def run_of(
    recipe: Recipe, attributes: tuple[str, ...], faces: Faces, out: Path, device: str = "auto", any_code: bool = False
) -> Run:
    """The run of a recipe on these faces here: `OUT/runs/HASH`, of its settings and of `circumstances_of` it.

    A finished run of the same settings that was trained otherwise, or by a version that did not record how, is named in
    `elsewhere`; with `any_code` it is the run itself, where there is none of these circumstances.
    """
    told, here = _run_settings(recipe, attributes, faces), circumstances_of(recipe, device)
    plain = out / "runs" / sha256_of_json(told)[:16]
    own = Run(out / "runs" / sha256_of_json({**told, "circumstances": here})[:16], recipe, attributes, here)
    if own.finished():
        return own
    other = next((path for path in [plain, *_alike(told, own.folder)] if _is_finished(path)), None)
    if other is not None and any_code:
        return Run(other, recipe, attributes, here)
    return replace(own, elsewhere=other)


def describe_elsewhere(run: Run) -> str | None:
    """One line about a finished run that is not used again, and how to use it; None where there is none."""
    if run.elsewhere is None or run.finished():
        return None
    there = training_circumstances(replace(run, folder=run.elsewhere))
    different = [
        f"{name.replace('_', ' ')} {there.get(name) or 'not recorded'}, here {value}"
        for name, value in run.circumstances.items()
        if there.get(name) != value
    ]
    return f"{run.elsewhere} is of the same settings and not used again ({'; '.join(different)}): --any-code uses it"


def training_circumstances(run: Run) -> dict[str, Any]:
    """In what precision, on what kind of machine and by which code a run was trained, None where it is not recorded."""
    last = checkpoint.read_description(run.folder / "last")
    recorded = {**(last.get("training") or {}), "code": last.get("code")}
    return {name: recorded.get(name) for name in ("computed_in", "machine", "code")}


def _alike(told: Mapping[str, Any], own: Path) -> list[Path]:
    """Folders of other runs of the same settings, the newest first."""
    known = []
    for record in own.parent.glob(f"*/{SETTINGS_FILE}"):
        if record.parent != own:
            there: dict[str, Any] = read_json(record, dict[str, Any], "remove its folder to train again")
            there.pop("circumstances", None)
            if there == json.loads(json_text(told)):
                known.append(record)
    return [record.parent for record in sorted(known, key=lambda path: path.stat().st_mtime, reverse=True)]


def _is_finished(folder: Path) -> bool:
    last = folder / "last"
    if not checkpoint.model_exists(last):
        return False
    return bool((checkpoint.read_description(last).get("training") or {}).get("finished"))


def identity_of(faces: Faces) -> dict[str, Any]:
    """The entries of the manifest that identify the faces."""
    return {key: faces.manifest[key] for key in IDENTIFYING if key in faces.manifest}


def _run_settings(recipe: Recipe, attributes: tuple[str, ...], faces: Faces) -> dict[str, Any]:
    learns_from = {}
    if hasattr(recipe.config, "feature_weights"):
        learns_from = {"borrowed": load_vgg19(recipe.config.feature_weights)[1]}
    return {
        **learns_from,
        "method": recipe.method,
        "config": _without_later_settings(dataclasses.asdict(recipe.config)),
        "training": _without_later_settings(dataclasses.asdict(recipe.training)),
        "data": identity_of(faces),
        "attributes": list(attributes),
        "attribute_set": recipe.attribute_set,
        "negatives": recipe.negatives,
    }


def _without_later_settings(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in LATER_SETTINGS or value != LATER_SETTINGS[key]}


def settings(recipe: Recipe) -> dict[str, Any]:
    """A recipe's settings by the names that `train` takes."""
    groups = {"method": recipe.config, "training": recipe.training}
    flat = {f"{group}.{key}": v for group, value in groups.items() for key, v in dataclasses.asdict(value).items()}
    return {**flat, "data.image_size": recipe.image_size, "data.crop": recipe.crop, "data.negatives": recipe.negatives}


def images_trained(run: Run) -> int:
    """The images that a run has seen so far."""
    last = run.folder / "last"
    if not checkpoint.model_exists(last):
        return 0
    return int((checkpoint.read_description(last).get("training") or {}).get("images", 0))


def train_once(
    run: Run, faces: Faces, *, device: str, calibrated: bool, progress: Progress | None = None,
    deadline: float | None = None,
) -> bool:  # fmt: skip
    """Train a run, or resume it, unless it is finished; returns whether anything was trained.

    An interrupted training is saved and raises `Interrupted`, that which reaches `deadline` OutOfTime. `calibrated` fits the
    strength of edits.
    """
    recipe, fresh = run.recipe, not run.finished()
    if fresh:
        circumstances = {"circumstances": dict(run.circumstances)} if run.circumstances else {}
        text = json_text({**_run_settings(recipe, run.attributes, faces), **circumstances}, 1)
        part = {"attribute_set": recipe.attribute_set} if recipe.attribute_set else {"attributes": run.attributes}
        train(
            recipe.method, faces, out=run.folder, resume=True, device=device, settings=settings(recipe), calibrate=False,
            progress=progress, deadline=deadline, **part,
        )  # fmt: skip
        write_file(run.folder / SETTINGS_FILE, text + "\n")
    edits = "edit" in methods.get(recipe.method).capabilities
    if calibrated and edits and checkpoint.read_description(run.model).get("strength") is None:
        calibrate_run(run.folder, faces.with_attributes(run.attributes), progress or Progress(), device=device)
    return fresh


def fit_vectors_once(run: Run, faces: Faces, *, device: str, calibrated: bool, progress: Progress) -> None:
    """Write the copy of a trained run that edits along attribute vectors, unless it is there."""
    if not run.vectors or checkpoint.model_exists(run.measured):
        return
    progress.message(f"fitting vectors of {', '.join(run.vectors)}")
    labelled, seed = faces.with_attributes(run.vectors), run.recipe.training.seed
    by_vectors(Editor.from_pretrained(run.folder, device), labelled, run.vectors, NUMBER, seed).save(run.measured)
    if calibrated:
        calibrate_run(run.measured, labelled, progress, device=device)


def evaluate_once(run: Run, faces: Faces, judging: Judging, progress: ProgressLike = None) -> tuple[Metrics, Path]:
    """Read the metrics of a trained run, or measure them where no such report exists; returns them and their folder."""
    judge = load_judge(SCORING_JUDGE)
    features = judging.features
    described = checkpoint.read_description(run.model)
    asked = {
        "weights": described["weights_sha256"],
        "strength": described.get("strength"),
        "judge": judge.description["weights_sha256"],
        "data": identity_of(faces),
        "limit": judging.limit,
        "seed": judging.seed,
        "identity": None if judging.identity is None else _file_hash(judging.identity),
        "features": None if features is None else [features.name, getattr(features, "sha256", None)],
        **({"judges": list(judging.judges)} if judging.judges else {}),
        **({"without": list(judging.without)} if judging.without else {}),
    }
    folder = run.folder / "reports" / sha256_of_json(asked)[:16]
    if (folder / "report.html").exists():
        return _read(folder / "metrics.json"), folder
    metrics = api.evaluate(
        run.measured, faces, out=folder, limit=judging.limit, seed=judging.seed, device=judging.device,
        identity=judging.identity, features=features, judges=judging.judges, without=judging.without,
        progress=progress,
    )  # fmt: skip
    return metrics, folder


def _read(path: Path) -> Metrics:
    remedy = "remove its folder to measure again"
    try:
        stored = read_object(path, StoredMetrics, remedy, MOST_METRICS_BYTES)
    except FileNotFoundError as error:
        raise VisagistError(f"cannot read {path}: it is not there; {remedy}") from error
    return Metrics(stored["metrics"], stored["curves"], stored["matrices"], stored["not_computed"], stored["manifest"])


def _file_hash(path: Path) -> str:
    try:
        return sha256_of(path.expanduser())
    except OSError as error:
        raise VisagistError(f"cannot read {path}: {error.strerror or error}; give --identity a face embedder") from error
