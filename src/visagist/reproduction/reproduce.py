"""`reproduce`: train, evaluate and draw every row of a published table or figure, and set it beside the published one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from visagist.boundary.ownership import carries_mark, holds_only
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError, nearest
from visagist.evaluation import load_features
from visagist.evaluation.evaluate import families_but
from visagist.evaluation.extractors.landmark_detectors import Finds
from visagist.evaluation.session import EvaluationSettings
from visagist.files import check_folder
from visagist.progress import Progress, ProgressLike, progress_of
from visagist.reproduction import runs, verdicts
from visagist.reproduction.budget import Budget, in_words, make_budget
from visagist.reproduction.entry import command_line, entry_facts
from visagist.reproduction.figures import CaptionedPicture, draw_latent, draw_poses, draw_samples, draw_sheet, rows_of
from visagist.reproduction.files import write
from visagist.reproduction.measures import measure_effects, measure_gains, recognise_views
from visagist.reproduction.outcomes import (
    RowOutcome,
    Source,
    decide_cells,
    load_editors,
    prepare_run,
    train_and_evaluate,
)
from visagist.reproduction.runs import Judging, holds_runs
from visagist.reproduction.scales import DRAWN, DRAWN_ELSEWHERE, ELSEWHERE, MINUTES, SCALES, Scale, at_scale
from visagist.reproduction.spec import TRAINED_ON, Picture, Poses, Reproduction, SampleSheet, Sheet, get
from visagist.reproduction.verdicts import VerdictCell
from visagist.training.trainer import OutOfTime


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
    without: Sequence[str] = (),
    detector: Finds | None = None,
    device: str = "auto",
    seed: int = 0,
    seeds: int | None = None,
    rows: Sequence[str] = (),
    any_code: bool = False,
    progress: ProgressLike = None,
) -> dict[str, Any]:
    """Reproduce a table or figure into `out`; returns its entry of `out/verdicts.json`.

    data       a source as for `load_data`; the scale smoke draws its own faces
    other      of names that measure on another source than they train on: that source; drawn faces if none is named
    minutes    for the scale small, of the name on two cores; for study and paper, of this call: what is left then is
               `unfinished` in the entry, and the same call goes on
    features   what `load_features` takes, for distances from photographs; identity: a face embedder as ONNX
    judges     of other kinds than the scorer, as face-api:FOLDER, geometry: of successes the lowest is the figure
    without    families of figures to leave out of the reports, as `leakage`, which takes longest
    detector   of five landmarks (`visagist.evaluation.extractors.landmark_detectors`), for pictures of turned faces
               whose source has none
    seeds      trainings of every row, from the seeds `seed` on; pictures are of the first. One, at the scale study three
    rows       labels of the rows to train in this call, all if none is given; what others have by now is kept
    any_code   use finished runs of other code, precision or machines again

    The entry, its page and its pictures are written after every row. A row that is finished is not trained again, one that
    was stopped goes on. Raises VisagistError for all that a person can put right, and Interrupted where a signal stopped a
    training, which saved itself.
    """
    started, reproduction, chosen = time.monotonic(), get(name), _scale(scale)
    number = chosen.seeds if seeds is None else seeds
    if number < 1:
        raise VisagistError(f"--seeds {number}: a row is trained at least once")
    _check_rows(rows, reproduction)
    with progress_of(progress) as bars:
        source = Source(_data(chosen, data, reproduction), bars)
        shown = _measured_source(reproduction, chosen, source, other, bars)
        _check_minutes(minutes, chosen)
        folder = Path(out).expanduser()
        check_folder(folder, ("verdicts.json", "index.html"), owned=_is_of_reproductions)
        judging = replace(
            _make_judging(chosen, seed, device, identity, features, judges, without), detector=detector, any_code=any_code
        )
        budget = MINUTES if minutes is None or chosen.planned else minutes
        trained = [
            [RowOutcome(row, at_scale(row, chosen, reproduction, budget, of_run)) for row in reproduction.rows]
            for of_run in range(seed, seed + number)
        ]
        work = _Work(reproduction, chosen, source, shown, folder, judging, trained, bars, started, rows=frozenset(rows))
        work.command = command_line(name, chosen, data, other, out, minutes, judging, number, rows)
        if minutes is not None and chosen.planned:
            work.deadline = started + 60 * minutes
        work.run()
    return work.write()


@dataclass
class _Work:
    """One call of `reproduce`: its rows by seeds, and what is written of them so far."""

    reproduction: Reproduction
    scale: Scale
    source: Source
    shown: Source
    folder: Path
    judging: Judging
    trained: list[list[RowOutcome]]
    progress: Progress
    started: float
    command: str = ""
    deadline: float | None = None
    rows: frozenset[str] = frozenset()
    drawn: dict[int, CaptionedPicture] = field(default_factory=dict)
    joint: list[_JointResults] = field(default_factory=list)

    def run(self) -> None:
        """Train and evaluate all rows of a seed before those of the next; then measure what several rows share."""
        needed = self.reproduction.needed_source(self.source.data)
        for outcomes in self.trained:
            for outcome in outcomes:
                outcome.source = needed
                prepare_run(outcome, *self._faces(outcome), self.folder, self.judging)
                decide_cells(outcome, self._other_data(outcome))
        plan = self._make_plan()
        for outcomes in self.trained:
            for number, outcome in enumerate(outcomes):
                if self._is_due(outcome) and not self._advance(number, outcome, plan):
                    return
        if not self._unfinished():
            self._measure()

    def write(self) -> dict[str, Any]:
        """Write the entry, its page and its pictures as they are by now."""
        first, seeds = self.trained[0], [outcomes[0].recipe.training.seed for outcomes in self.trained]
        shared = self.joint[0] if self.joint else _JointResults()
        entry = {
            "name": self.reproduction.name,
            "title": self.reproduction.title,
            "source": self.reproduction.source,
            "notes": [*self.reproduction.notes, *shared.notes],
            "scale": self.scale.name,
            "seed": seeds[0],
            "seeds": seeds,
            "unfinished": self._unfinished(),
            "command": self.command,
            "seconds": round(time.monotonic() - self.started, 1),
            **entry_facts(self.source, self.shown, first, self.folder, self.judging),
        }
        for row, *same in zip(entry["rows"], *self.trained):
            finished = [outcome.run for outcome in same if outcome.run is not None and outcome.metrics is not None]
            row["runs"] = [str(run.folder.relative_to(self.folder)) for run in finished]
        cells = [cell.to_json() for cell in shared.cells]
        if len(seeds) > 1:
            verdicts.add_between_runs(entry["cells"], [[c for row in rows for c in row.cells] for rows in self.trained])
            verdicts.add_between_runs(cells, [results.cells for results in self.joint])
        entry["cells"] += cells
        return write(self.folder, entry, [*self._pictures(), *shared.pictures])

    def _is_due(self, outcome: RowOutcome) -> bool:
        """Whether this call trains a row, or reads what is there of it."""
        trained = outcome.run is not None and outcome.run.finished()
        return trained or not self.rows or outcome.row.label in self.rows

    def _faces(self, outcome: RowOutcome) -> tuple[Faces, Faces]:
        return self.source.faces(outcome.recipe), self.shown.faces(outcome.recipe)

    def _other_data(self, outcome: RowOutcome) -> str | None:
        faces, asked = self.source.faces(outcome.recipe), self.reproduction
        return verdicts.other_data(faces, asked.training_faces, asked.trains_on)

    def _make_plan(self) -> Budget | None:
        """Measure rates and say the plan, where the scale has one."""
        if not self.scale.planned:
            return None
        self.progress.message("measuring how quickly each row trains here")
        due = [[outcome for outcome in outcomes if self._is_due(outcome)] for outcomes in self.trained]
        pairs = [[(outcome, self.source.faces(outcome.recipe)) for outcome in outcomes] for outcomes in due]
        plan = make_budget(self.reproduction.name, pairs, self.judging.device)
        for line in plan.lines():
            self.progress.message(line)
        return plan

    def _advance(self, number: int, outcome: RowOutcome, plan: Budget | None) -> bool:
        """Train and evaluate the next row, and write what there is; returns False where the time is up."""
        if self.deadline is not None and time.monotonic() >= self.deadline:
            self._say_stopped()
            return False
        rows, seed = len(self.reproduction.rows), outcome.recipe.training.seed
        left = _time_left(self.trained[0][number:])
        if plan is not None:
            left = f"{in_words(plan.hours_from(outcome.row.label, seed))} of training left"
        of_seed = f", seed {seed}" if len(self.trained) > 1 else ""
        self.progress.message(f"row {number + 1} of {rows}{of_seed}: {outcome.row.label}; {left}")
        try:
            train_and_evaluate(outcome, *self._faces(outcome), self.scale, self.judging, self.progress, self.deadline)
        except OutOfTime:
            assert outcome.run is not None
            seen = runs.images_trained(outcome.run)
            self.progress.report(seen, seen)  # a bar that ends here is not one of the whole training
            decide_cells(outcome, self._other_data(outcome))
            self._say_stopped()
            return False
        decide_cells(outcome, self._other_data(outcome))
        if outcome.metrics is not None:
            self.write()
        return True

    def _say_stopped(self) -> None:
        self.progress.message("the minutes are over: saved, and the same command goes on")

    def _unfinished(self) -> list[str]:
        """The rows and seeds that are not trained and measured yet."""
        return [
            f"{outcome.row.label}, seed {outcome.recipe.training.seed}"
            for outcomes in self.trained
            for outcome in outcomes
            if outcome.waits
        ]

    def _pictures(self) -> list[CaptionedPicture]:
        """Draw the pictures whose rows are there by now, each once."""
        first = self.trained[0]
        there = {outcome.row.label for outcome in first if outcome.metrics is not None}
        due = [p for p in self.reproduction.pictures if id(p) not in self.drawn and rows_of(p) <= there]
        if due:
            self.progress.message("drawing")
            needed = set().union(*map(rows_of, due))
            chosen = [outcome for outcome in first if outcome.row.label in needed]
            editors, seen = load_editors(chosen, self.shown, self.judging)
            self.drawn |= {id(p): _draw_picture(p, editors, seen, self.scale, self.judging) for p in due}
        return [
            self.drawn.get(id(p))
            or CaptionedPicture(p.title, None, f"not run: needs the row {', '.join(sorted(rows_of(p) - there))}")
            for p in self.reproduction.pictures
        ]

    def _measure(self) -> None:
        """Measure what several rows share, of each seed."""
        reproduction = self.reproduction
        if not (reproduction.views or reproduction.gains or reproduction.correlated):
            return
        reason = self._other_data(self.trained[0][0])
        for outcomes in self.trained:
            seed = outcomes[0].recipe.training.seed
            part = self.scale.name if outcomes is self.trained[0] else f"{self.scale.name}-seed-{seed}"
            models = load_editors(outcomes, self.shown, self.judging)
            self.joint.append(
                _measure_together(reproduction, *models, self.scale, self.judging, reason, self.folder, part, self.progress)
            )


@dataclass
class _JointResults:
    """Cells, pictures and notes that concern several rows."""

    cells: list[VerdictCell] = field(default_factory=list)
    pictures: list[CaptionedPicture] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def _measure_together(
    reproduction: Reproduction, editors: dict[str, Editor], seen: dict[str, Faces], scale: Scale, judging: Judging,
    reason: str | None, folder: Path, part: str, progress: Progress,
) -> _JointResults:  # fmt: skip
    """Measure recognition, landmarks and side effects where a reproduction has them; `reason` as for `recognise_views`.

    `part` is the folder of these models' reports.
    """
    joint = _JointResults()
    if reproduction.views:
        progress.message("recognising attributes")
        settings = EvaluationSettings(limit=judging.limit, seed=judging.seed)
        report = folder / "recognition" / part
        joint.cells += recognise_views(reproduction.views, editors, seen, settings, scale.recognised_by, reason, report)
    if reproduction.gains:
        progress.message("finding landmarks")
        reports = folder / "landmarks" / part
        joint.cells += measure_gains(reproduction.gains, editors, seen, judging.limit, judging.seed, reason, reports)
    if reproduction.correlated is not None:
        progress.message("measuring what the edit takes along")
        labels, report = tuple(row.label for row in reproduction.rows), folder / "correlations" / part
        effects = measure_effects(
            reproduction.correlated, editors, seen, labels, judging, scale.calibrated, reason, report
        )  # fmt: skip
        joint.cells += effects.cells
        joint.pictures.append(effects.picture)
        joint.notes += effects.notes
    return joint


def _draw_picture(
    picture: Picture, editors: dict[str, Editor], faces: dict[str, Faces], scale: Scale, judging: Judging
) -> CaptionedPicture:
    if isinstance(picture, SampleSheet):
        return draw_samples(picture, editors[picture.row], scale.chains, judging.seed)
    if isinstance(picture, Poses):
        return draw_poses(picture, editors[picture.row], faces[picture.row], judging.detector, judging.seed)
    if isinstance(picture, Sheet):
        return draw_sheet(picture, editors, faces, judging.seed)
    return draw_latent(picture, editors[picture.row], faces[picture.row], judging.seed)


def _is_of_reproductions(path: Path) -> bool:
    """Whether a reproduction, finished or stopped, wrote this entry of a folder."""
    own = path.name in ("pictures", "recognition", "landmarks", "correlations") and holds_only(path, carries_mark)
    return own or holds_runs(path)


def _make_judging(
    scale: Scale, seed: int, device: str, identity: Path | str | None, features: str | None, judges: Sequence[str],
    without: Sequence[str] = (),
) -> Judging:  # fmt: skip
    families_but(without)
    given = {"--identity": identity, "--features": features, "--judges": ",".join(judges) or None}
    given["--without"] = ",".join(without) or None
    return Judging(
        scale.faces,
        seed,
        device,
        None if identity is None else Path(identity),
        None if features is None else load_features(features),
        tuple(str(part) for pair in given.items() if pair[1] is not None for part in pair),
        judges=tuple(judges),
        without=tuple(without),
    )


def _scale(name: str) -> Scale:
    if name not in SCALES:
        raise VisagistError(f"no scale {name!r}: {nearest(name, SCALES)}")
    return SCALES[name]


def _check_rows(rows: Sequence[str], reproduction: Reproduction) -> None:
    labels = [row.label for row in reproduction.rows]
    for label in rows:
        if label not in labels:
            raise VisagistError(f"{reproduction.name} has no row {label!r}: {nearest(label, labels)}")


def _check_minutes(minutes: float | None, scale: Scale) -> None:
    if minutes is not None and (not (scale.name == "small" or scale.planned) or not minutes > 0):
        raise VisagistError(f"--minutes {minutes:g} is for --scale small, study and paper, and more than 0: smoke has none")


def _data(scale: Scale, data: str | None, reproduction: Reproduction) -> str:
    named = TRAINED_ON[reproduction.trains_on]
    if scale.name == "smoke":
        if data is not None and reproduction.trains_on != "celeba":
            return data
        if data is not None:
            raise VisagistError(f"--scale smoke draws its own faces: leave out --data {data}, or take --scale small")
        return DRAWN
    if data is None:
        raise VisagistError(
            f"--scale {scale.name} needs photographs: give --data {reproduction.trains_on}:PATH, the folder of {named}; "
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
