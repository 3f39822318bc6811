"""Rows while they are reproduced: the faces of a source, and what became of each row."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from visagist.attributes import with_derived
from visagist.data import load_data
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.evaluation import Metrics
from visagist.networks.pretrained.vgg19 import VARIABLE
from visagist.progress import Progress
from visagist.recipes import Recipe
from visagist.reproduction import runs, verdicts
from visagist.reproduction.runs import Judging, Run
from visagist.reproduction.scales import Scale
from visagist.reproduction.spec import Row
from visagist.reproduction.verdicts import VerdictCell


@dataclass
class RowOutcome:
    """The outcome of a row: its run and metrics, or what it lacks; nothing yet of a row that `waits`."""

    row: Row
    recipe: Recipe
    run: Run | None = None
    metrics: Metrics | None = None
    report: Path | None = None
    trained: bool = False
    lacking: tuple[str, ...] = ()
    network: str | None = None  # why the pretrained network of its loss is not available
    source: str | None = None  # which source it needs in place of this one
    waits: bool = True
    cells: list[VerdictCell] = field(default_factory=list)

    @property
    def needs(self) -> str:
        """What a row without metrics needs."""
        if self.source is not None:
            return self.source
        if self.network is not None:
            return f"weights of VGG-19: ${VARIABLE}"
        if self.waits:
            seen = 0 if self.run is None else runs.images_trained(self.run)
            return f"its training, {seen:,} of {self.recipe.training.images:,} images so far"
        return f"faces labelled {', '.join(self.lacking)}"


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


def prepare_run(outcome: RowOutcome, faces: Faces, shown: Faces, out: Path, judging: Judging) -> bool:
    """Find the run of a row, on the attributes that both sources are labelled with; returns whether it can be trained."""
    if outcome.source is not None:
        outcome.waits = False
        return False
    attributes, outcome.lacking = runs.learnable(outcome.recipe, faces, shown)
    outcome.network = runs.network_missing(outcome.recipe)
    nothing_left = outcome.lacking and (not attributes or outcome.recipe.attribute_set)
    if outcome.network is not None or nothing_left:
        outcome.waits = False
        return False
    run = runs.run_of(outcome.recipe, attributes, faces, out, judging.device, judging.any_code)
    known = with_derived(faces.names)
    outcome.run = replace(run, vectors=tuple(name for name in outcome.row.vectors if name in known))
    outcome.lacking += tuple(name for name in outcome.row.vectors if name not in known)
    return True


def train_and_evaluate(
    outcome: RowOutcome, faces: Faces, shown: Faces, scale: Scale, judging: Judging, progress: Progress,
    deadline: float | None = None,
) -> None:  # fmt: skip
    """Train a row that is prepared on `faces` and evaluate it on `shown`."""
    if outcome.network is not None:
        progress.message(f"{outcome.row.label} is left out: {outcome.network}")
    run = outcome.run
    if run is None:
        return
    unused = runs.describe_elsewhere(run)
    if unused is not None:
        progress.message(unused)
    if run.finished():
        progress.message(f"{run.folder} is trained already")
    outcome.trained = runs.train_once(
        run, faces, device=judging.device, calibrated=scale.calibrated, progress=progress, deadline=deadline
    )  # fmt: skip
    runs.fit_vectors_once(run, faces, device=judging.device, calibrated=scale.calibrated, progress=progress)
    outcome.metrics, outcome.report = runs.evaluate_once(run, shown, judging, progress)
    outcome.waits = False


def decide_cells(outcome: RowOutcome, reason: str | None) -> None:
    """Set a row's figures beside the published ones; `reason` says why the faces are not the paper's."""
    outcome.cells = [_decide_cell(outcome, key, value, reason) for key, value in outcome.row.published.items()]


def _decide_cell(outcome: RowOutcome, key: str, published: float | None, reason: str | None) -> VerdictCell:
    row = outcome.row
    if outcome.metrics is None:
        return verdicts.missing(row.label, key, published, outcome.needs)
    lacking = [name for name in outcome.lacking if f".{name}." in key]
    if lacking:
        return verdicts.missing(row.label, key, published, f"faces labelled {', '.join(lacking)}")
    return verdicts.decide(
        row.label, key, published, outcome.metrics, incomparable=row.incomparable.get(key), data=reason
    )  # fmt: skip


def load_editors(outcomes: list[RowOutcome], source: Source, judging: Judging) -> tuple[dict[str, Editor], dict[str, Faces]]:
    """Load the models of trained rows, and the faces at their size and crop, by the rows' labels."""
    editors, faces = {}, {}
    for outcome in outcomes:
        if outcome.run is not None and outcome.metrics is not None:
            editors[outcome.row.label] = Editor.from_pretrained(outcome.run.measured, judging.device)
            faces[outcome.row.label] = source.faces(outcome.recipe)
    return editors, faces
