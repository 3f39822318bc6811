"""`reproduce`: train, evaluate and draw every row of a published table or figure, and set it beside the published one."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visagist import recipes
from visagist.boundary.ownership import carries_mark, holds_only
from visagist.data import load_data
from visagist.data.faces import Faces, split_counts
from visagist.editing.editor import Editor
from visagist.environment import describe_machine, package_versions
from visagist.errors import VisagistError, nearest
from visagist.evaluation import Metrics, load_features
from visagist.evaluation.extractors.landmark_detectors import Finds
from visagist.evaluation.session import EvaluationSettings
from visagist.files import check_folder
from visagist.networks.pretrained.vgg19 import VARIABLE
from visagist.progress import Progress, ProgressLike, progress_of
from visagist.recipes import Recipe
from visagist.reproduction import runs, verdicts
from visagist.reproduction.figures import CaptionedPicture, draw_latent, draw_poses, draw_samples, draw_sheet, rows_of
from visagist.reproduction.files import write
from visagist.reproduction.measures import measure_effects, measure_gains, recognise_views
from visagist.reproduction.runs import Judging, Run, holds_runs
from visagist.reproduction.scales import DRAWN, DRAWN_ELSEWHERE, ELSEWHERE, MINUTES, SCALES, Scale, at_scale
from visagist.reproduction.spec import Poses, Reproduction, Row, SampleSheet, Sheet, get
from visagist.reproduction.verdicts import VerdictCell


@dataclass
class RowOutcome:
    """The outcome of a row: its run and metrics, or what it lacks."""

    row: Row
    recipe: Recipe
    run: Run | None = None
    metrics: Metrics | None = None
    report: Path | None = None
    trained: bool = False
    lacking: tuple[str, ...] = ()
    network: str | None = None  # why the pretrained network of its loss is not available
    cells: list[VerdictCell] = field(default_factory=list)


class Source:
    """The faces of one source at the sizes and crops of the rows, each loaded once."""

    def __init__(self, data: str, progress: Progress) -> None:
        self.data, self._progress = data, progress
        self._loaded: dict[tuple[int, str | None], Faces] = {}

    def faces(self, recipe: Recipe) -> Faces:
        form = (recipe.image_size, recipe.crop)
        if form not in self._loaded:
            self._loaded[form] = load_data(self.data, image_size=form[0], crop=form[1], progress=self._progress)
        return self._loaded[form]


def reproduce(
    name: str,
    *,
    scale: str = "small",
    data: str | None = None,
    other: str | None = None,
    out: Path | str,
    minutes: float | None = None,
    features: str | None = None,
    identity: Path | str | None = None,
    judges: Sequence[str] = (),
    detector: Finds | None = None,
    device: str = "auto",
    seed: int = 0,
    seeds: int = 1,
    any_code: bool = False,
    progress: ProgressLike = None,
) -> dict[str, Any]:
    """Reproduce a table or figure into `out`; returns its entry of `out/verdicts.json`.

    data       a source as for `load_data`; the scale smoke draws its own faces
    other      of names that measure on another source than they train on: that source; drawn faces if none is named
    minutes    of the name on two cores, for the scale small
    features   what `load_features` takes, for distances from photographs; identity: a face embedder as ONNX
    judges     of other kinds than the scorer, as face-api:FOLDER, geometry: of successes the lowest is the figure
    detector   of five landmarks (`visagist.evaluation.extractors.landmark_detectors`), for pictures of turned faces
               whose source has none
    seeds      trainings of every row, from the seeds `seed` on; pictures and what rows share are of the first
    any_code   use finished runs of other code, precision or machines again

    A row that is finished is not trained again, one that was stopped goes on. Raises VisagistError for all that a person
    can put right, and Interrupted where a signal stopped a training, which saved itself.
    """
    started, reproduction, chosen = time.monotonic(), get(name), _scale(scale)
    if seeds < 1:
        raise VisagistError(f"--seeds {seeds}: a row is trained at least once")
    with progress_of(progress) as bars:
        source = Source(_data(chosen, data), bars)
        shown = _measured_source(reproduction, chosen, source, other, bars)
        if minutes is not None and (chosen.name != "small" or not minutes > 0):
            raise VisagistError(
                f"--minutes {minutes:g} is for --scale small, and more than 0: the other scales have their own"
            )
        folder = Path(out).expanduser()
        check_folder(folder, ("verdicts.json", "index.html"), owned=_is_of_reproductions)
        judging = replace(
            _make_judging(chosen, seed, device, identity, features, judges), detector=detector, any_code=any_code
        )
        budget = MINUTES if minutes is None else minutes
        trained = []
        for of_run in range(seed, seed + seeds):
            rows = [RowOutcome(row, at_scale(row, chosen, reproduction, budget, of_run)) for row in reproduction.rows]
            _train_rows(reproduction, rows, source, shown, folder, chosen, judging, bars)
            trained.append(rows)
        outcomes = trained[0]
        bars.message("drawing")
        editors, seen = _load_editors(outcomes, shown, judging)
        pictures = _draw_pictures(reproduction, editors, seen, chosen, judging)
        reason = verdicts.other_data(source.faces(outcomes[0].recipe), reproduction.training_faces)
        more = _measure_together(reproduction, editors, seen, chosen, judging, reason, folder, bars)
    entry = {
        "name": name,
        "title": reproduction.title,
        "source": reproduction.source,
        "notes": [*reproduction.notes, *more.notes],
        "scale": chosen.name,
        "seed": seed,
        "seeds": list(range(seed, seed + seeds)),
        "command": _command(name, chosen, data, other, out, minutes, judging, seeds),
        "seconds": round(time.monotonic() - started, 1),
        **_entry_facts(source, shown, outcomes, folder, judging),
    }
    for row, *same in zip(entry["rows"], *trained):
        row["runs"] = [str(outcome.run.folder.relative_to(folder)) for outcome in same if outcome.run is not None]
    if seeds > 1:
        verdicts.add_between_runs(entry["cells"], [[c for row in rows for c in row.cells] for rows in trained])
    entry["cells"] += [cell.to_json() for cell in more.cells]
    return write(folder, entry, [*pictures, *more.pictures])


def _train_rows(
    reproduction: Reproduction, outcomes: list[RowOutcome], source: Source, shown: Source, folder: Path, scale: Scale,
    judging: Judging, progress: Progress,
) -> None:  # fmt: skip
    """Train and evaluate every row, and set its figures beside the published ones."""
    for number, outcome in enumerate(outcomes):
        left = _time_left(outcomes[number:])
        progress.message(f"row {number + 1} of {len(outcomes)}: {outcome.row.label}; {left}")
        faces = source.faces(outcome.recipe)
        _train_and_evaluate(outcome, faces, shown.faces(outcome.recipe), folder, scale, judging, progress)
        reason = verdicts.other_data(faces, reproduction.training_faces)
        outcome.cells = [_decide_cell(outcome, key, value, reason) for key, value in outcome.row.published.items()]


@dataclass
class _JointResults:
    """Cells, pictures and notes that concern several rows."""

    cells: list[VerdictCell] = field(default_factory=list)
    pictures: list[CaptionedPicture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _measure_together(
    reproduction: Reproduction, editors: dict[str, Editor], seen: dict[str, Faces], scale: Scale, judging: Judging,
    reason: str | None, folder: Path, progress: Progress,
) -> _JointResults:  # fmt: skip
    """Measure recognition, landmarks and side effects where a reproduction has them; `reason` as for `recognise_views`."""
    joint = _JointResults()
    if reproduction.views:
        progress.message("recognising attributes")
        settings = EvaluationSettings(limit=judging.limit, seed=judging.seed)
        report = folder / "recognition" / scale.name
        joint.cells += recognise_views(reproduction.views, editors, seen, settings, scale.recognised_by, reason, report)
    if reproduction.gains:
        progress.message("finding landmarks")
        reports = folder / "landmarks" / scale.name
        joint.cells += measure_gains(reproduction.gains, editors, seen, judging.limit, judging.seed, reason, reports)
    if reproduction.correlated is not None:
        progress.message("measuring what the edit takes along")
        labels, report = tuple(row.label for row in reproduction.rows), folder / "correlations" / scale.name
        effects = measure_effects(
            reproduction.correlated, editors, seen, labels, judging, scale.calibrated, reason, report
        )  # fmt: skip
        joint.cells += effects.cells
        joint.pictures.append(effects.picture)
        joint.notes += effects.notes
    return joint


def _is_of_reproductions(path: Path) -> bool:
    """Whether a reproduction, finished or stopped, wrote this entry of a folder."""
    own = path.name in ("pictures", "recognition", "landmarks", "correlations") and holds_only(path, carries_mark)
    return own or holds_runs(path)


def _make_judging(
    scale: Scale, seed: int, device: str, identity: Path | str | None, features: str | None, judges: Sequence[str]
) -> Judging:
    given = {"--identity": identity, "--features": features, "--judges": ",".join(judges) or None}
    return Judging(
        scale.faces,
        seed,
        device,
        None if identity is None else Path(identity),
        None if features is None else load_features(features),
        tuple(str(part) for pair in given.items() if pair[1] is not None for part in pair),
        judges=tuple(judges),
    )


def _entry_facts(
    source: Source, shown: Source, outcomes: list[RowOutcome], out: Path, judging: Judging
) -> dict[str, Any]:
    """Describe faces, machine, rows and figures for an entry of `verdicts.json`."""
    other = {} if shown is source else {"other": _source_facts(shown, outcomes)}
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {**_source_facts(source, outcomes), **other},
        "machine": describe_machine(),
        "versions": package_versions(),
        "rows": [_row_facts(outcome, source.data, shown.data, out, judging) for outcome in outcomes],
        "cells": [cell.to_json() for outcome in outcomes for cell in outcome.cells],
    }


def _scale(name: str) -> Scale:
    if name not in SCALES:
        raise VisagistError(f"no scale {name!r}: {nearest(name, SCALES)}")
    return SCALES[name]


def _data(scale: Scale, data: str | None) -> str:
    if scale.name == "smoke":
        if data is not None:
            raise VisagistError(f"--scale smoke draws its own faces: leave out --data {data}, or take --scale small")
        return DRAWN
    if data is None:
        raise VisagistError(
            f"--scale {scale.name} needs photographs: give --data celeba:PATH, the folder that holds img_align_celeba; "
            "without any, --scale smoke tries everything on drawn faces"
        )
    return data


def _measured_source(
    reproduction: Reproduction, scale: Scale, source: Source, other: str | None, progress: Progress
) -> Source:
    """Choose the source that rows are measured on: the one that trains them, or another."""
    if not reproduction.elsewhere:
        if other is not None:
            raise VisagistError(f"{reproduction.name} is measured on what it trains on: leave out --other {other}")
        return source
    if scale.name == "smoke":
        if other is not None:
            raise VisagistError(f"--scale smoke draws its own faces: leave out --other {other}, or take --scale small")
        return Source(DRAWN_ELSEWHERE, progress)
    if other is None and source.data.startswith("synthetic:"):
        raise VisagistError(f"{reproduction.name} trains on drawn faces here: give --other celeba:PATH, or another source")
    return Source(other or ELSEWHERE, progress)


def _time_left(outcomes: list[RowOutcome]) -> str:
    """Estimate the training time left from the recipes' hours; finished rows make it shorter."""
    minutes = 60 * sum(outcome.recipe.hours for outcome in outcomes)
    if minutes < 1:
        return "less than a minute of training left"
    left = f"{minutes:.0f} minutes" if minutes < 100 else f"{minutes / 60:.0f} hours"
    return f"at most about {left} of training left on two cores"


def _train_and_evaluate(
    outcome: RowOutcome, faces: Faces, shown: Faces, out: Path, scale: Scale, judging: Judging, progress: Progress
) -> None:
    """Train a row on `faces` and evaluate it on `shown`, on the attributes that both are labelled with."""
    attributes, outcome.lacking = runs.learnable(outcome.recipe, faces, shown)
    outcome.network = runs.network_missing(outcome.recipe)
    if outcome.network is not None:
        progress.message(f"{outcome.row.label} is left out: {outcome.network}")
        return
    nothing_left = outcome.lacking and not attributes
    if nothing_left or (outcome.lacking and outcome.recipe.attribute_set):
        return
    run = outcome.run = runs.run_of(outcome.recipe, attributes, faces, out, judging.device, judging.any_code)
    unused = runs.describe_elsewhere(run)
    if unused is not None:
        progress.message(unused)
    if run.finished():
        progress.message(f"{run.folder} is trained already")
    outcome.trained = runs.train_once(
        run, faces, device=judging.device, calibrated=scale.calibrated, progress=progress
    )  # fmt: skip
    outcome.metrics, outcome.report = runs.evaluate_once(run, shown, judging, progress)


def _decide_cell(outcome: RowOutcome, key: str, published: float | None, reason: str | None) -> VerdictCell:
    row = outcome.row
    if outcome.network is not None:
        return verdicts.missing(row.label, key, published, f"weights of VGG-19: ${VARIABLE}")
    lacking = [name for name in outcome.lacking if outcome.metrics is None or f".{name}." in key]
    if outcome.metrics is None or lacking:
        return verdicts.missing(row.label, key, published, f"faces labelled {', '.join(lacking)}")
    return verdicts.decide(
        row.label, key, published, outcome.metrics, incomparable=row.incomparable.get(key), data=reason
    )  # fmt: skip


def _load_editors(
    outcomes: list[RowOutcome], source: Source, judging: Judging
) -> tuple[dict[str, Editor], dict[str, Faces]]:
    """Load the models of trained rows, and the faces at their size and crop, by the rows' labels."""
    editors, faces = {}, {}
    for outcome in outcomes:
        if outcome.run is not None:
            editors[outcome.row.label] = Editor.from_pretrained(outcome.run.folder, judging.device)
            faces[outcome.row.label] = source.faces(outcome.recipe)
    return editors, faces


def _draw_pictures(
    reproduction: Reproduction, editors: dict[str, Editor], faces: dict[str, Faces], scale: Scale, judging: Judging
) -> list[CaptionedPicture]:
    drawn = []
    for picture in reproduction.pictures:
        absent = sorted(rows_of(picture) - set(editors))
        if absent:
            drawn.append(CaptionedPicture(picture.title, None, f"not run: needs the row {', '.join(absent)}"))
        elif isinstance(picture, SampleSheet):
            drawn.append(draw_samples(picture, editors[picture.row], scale.chains, judging.seed))
        elif isinstance(picture, Poses):
            drawn.append(draw_poses(picture, editors[picture.row], faces[picture.row], judging.detector, judging.seed))
        elif isinstance(picture, Sheet):
            drawn.append(draw_sheet(picture, editors, faces, judging.seed))
        else:
            drawn.append(draw_latent(picture, editors[picture.row], faces[picture.row], judging.seed))
    return drawn


def _source_facts(source: Source, outcomes: list[RowOutcome]) -> dict[str, Any]:
    faces = source.faces(outcomes[0].recipe)
    keys = ("source", "crop", "image_size", "count", "sha256")
    return {"given": source.data, **{key: faces.manifest.get(key) for key in keys}, "faces": split_counts(faces.split)}


def _row_facts(outcome: RowOutcome, data: str, shown: str, out: Path, judging: Judging) -> dict[str, Any]:
    recipe, run = outcome.recipe, outcome.run
    facts: dict[str, Any] = {"row": outcome.row.label, "recipe": recipe.name, "published_recipe": outcome.row.recipe}
    if run is None:
        return {**facts, "not_run": f"needs faces labelled {', '.join(outcome.lacking)}"}
    assert outcome.metrics is not None
    assert outcome.report is not None
    return {
        **facts,
        "run": str(run.folder.relative_to(out)),
        "report": str((outcome.report / "report.html").relative_to(out)),
        "trained_now": outcome.trained,
        "images": recipe.training.images,
        "published_images": recipes.get(outcome.row.recipe).training.images,
        "judged_faces": outcome.metrics.manifest["data"]["n"],
        "judge": outcome.metrics.manifest["judge"]["name"],
        "circumstances": runs.training_circumstances(run),
        "commands": _commands(run, data, shown, out, outcome.report, judging),
    }


def _commands(run: Run, data: str, shown: str, out: Path, report: Path, judging: Judging) -> list[str]:
    """The two commands that train and measure this row."""
    recipe = run.recipe
    base = runs.settings(recipes.get(recipe.name))
    changed = {k: v for k, v in runs.settings(recipe).items() if v != base[k]}
    same_set = recipe.attribute_set == recipes.get(recipe.name).attribute_set
    learned = ["--attributes", ",".join(run.attributes)] if run.attributes else []
    if recipe.attribute_set:
        learned = [] if same_set else ["--attribute-set", recipe.attribute_set]
    sets = [part for key, value in changed.items() for part in ("--set", f"{key}={'none' if value is None else value}")]
    train = ["visagist", "train", recipe.method, "--recipe", recipe.name, "--data", data, *learned, *sets]
    measure = ["visagist", "evaluate", str(run.folder), "--data", shown, "--out", str(report), "--seed", str(judging.seed)]
    measure += [*([] if judging.limit is None else ["--limit", str(judging.limit)]), *judging.given]
    return [shlex.join([*train, "--out", str(run.folder), "--resume"]), shlex.join(measure)]


def _command(
    name: str, scale: Scale, data: str | None, other: str | None, out: Path | str, minutes: float | None, judging: Judging,
    seeds: int = 1,
) -> str:  # fmt: skip
    options: Mapping[str, object] = {
        "--scale": scale.name,
        "--data": data,
        "--other": other,
        "--out": out,
        "--minutes": minutes,
        "--device": None if judging.device == "auto" else judging.device,
        "--seed": judging.seed or None,
        "--seeds": seeds if seeds > 1 else None,
    }
    given = [str(part) for pair in options.items() if pair[1] is not None for part in pair]
    given += ["--any-code"] if judging.any_code else []
    return shlex.join(["visagist", "reproduce", name, *given, *judging.given])
