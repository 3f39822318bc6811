"""What several rows are measured by together: side effects of an edit, gains for landmarks, recognition by codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from visagist import api
from visagist.attributes import equivalent_attribute, with_derived
from visagist.data.faces import Faces
from visagist.editing.contact_sheets import row as line_of
from visagist.editing.contact_sheets import stacked
from visagist.editing.direction_editor import DirectionEditor, by_vectors, training_codes, with_strength
from visagist.editing.editor import Editor
from visagist.editing.strength import calibrate
from visagist.errors import VisagistError
from visagist.evaluation import Metrics
from visagist.evaluation.compare_directions import CALIBRATED_ON, FITTED_ON
from visagist.evaluation.extractors.landmark_detectors import DEFAULT, LandmarkDetector, load_detectors
from visagist.evaluation.landmark_gain import RemovalSettings
from visagist.evaluation.recognition import ALL_VIEWS
from visagist.evaluation.session import EvaluationSettings, session_of
from visagist.evaluation.side_effects import SideEffectSettings
from visagist.judges import CALIBRATING_JUDGE, Judge, load_judge
from visagist.latent.attribute_vectors import NUMBER
from visagist.latent.backend import optional_method
from visagist.latent.directions import fit_directions, kinds_of
from visagist.reproduction import verdicts
from visagist.reproduction.figures import CaptionedPicture, shorten_title
from visagist.reproduction.runs import Judging
from visagist.reproduction.spec import Correlated, Gain, View
from visagist.reproduction.verdicts import VerdictCell
from visagist.training.distributed import pick_device

LINES = 4
DRAWN_HAVE_NONE = "drawn faces are not labelled {names}: all of them are taken, which says that everything runs, and no more"


@dataclass(frozen=True)
class EffectCells:
    """The result of a comparison of side effects: cells, picture, and notes for the reader."""

    cells: list[VerdictCell]
    picture: CaptionedPicture
    notes: tuple[str, ...] = ()


def measure_effects(
    asked: Correlated,
    editors: Mapping[str, Editor],
    faces: Mapping[str, Faces],
    rows: tuple[str, ...],
    judging: Judging,
    calibrated: bool,
    reason: str | None,
    out: Path,
) -> EffectCells:
    """Measure the edit of one reproduction; `editors` and `faces` are by label, of those `rows` that have a model.

    `reason` says why figures from these faces do not compare with published ones. The report is written into `out`.
    """
    first = next(iter(faces.values()), None)
    labelled = () if first is None else with_derived(first.names)
    lacking = [name for name in (asked.attribute, *asked.among) if name not in labelled]
    drawn = first is not None and first.manifest.get("crop") == "drawn" and asked.attribute in labelled
    if first is None or (lacking and not drawn):
        needs = f"faces labelled {', '.join(lacking)}" if first is not None else "a row that is trained"
        cells = [verdicts.missing(row, _key(row, key), None, needs) for row in rows for key in _keys(asked, None)]
        nothing = CaptionedPicture(asked.title, None, f"not run: needs {needs}")
        return EffectCells([*_label_cells(asked, Metrics(), needs, reason), *cells], nothing)
    among = {name: label for name, label in asked.among.items() if name in labelled}
    notes = (DRAWN_HAVE_NONE.format(names=", ".join(lacking)),) if lacking else ()
    device = str(pick_device(judging.device))
    calibrator = load_judge(CALIBRATING_JUDGE, device)
    made = _make_editors(asked, editors, faces, tuple(among), judging, calibrator if calibrated else None)
    question = SideEffectSettings(asked.attribute, asked.strength, among, asked.watched)
    settings = EvaluationSettings(
        limit=judging.limit, seed=judging.seed, device=device, calibrator=calibrator, identity=judging.identity
    )
    session = session_of([editor for editor, _ in made.values()], [seen for _, seen in made.values()], settings)
    metrics = api.report_side_effects(session, question, out)
    cells = _label_cells(asked, metrics, f"faces labelled {', '.join(lacking)}", reason)
    for row in (*made, *(row for row in rows if row not in made)):
        for key in _keys(asked, judging.identity):
            if row in made:
                cells.append(verdicts.decide(row, _key(row, key), None, metrics, data=reason))
            else:
                cells.append(verdicts.missing(row, _key(row, key), None, f"the row {row}"))
    return EffectCells(cells, _draw_picture(asked, question, judging.seed, made, rows), (*notes, *metrics.manifest["notes"]))


def _key(row: str, key: str) -> str:
    return f"correlations.{row}.{key}"


def _keys(asked: Correlated, identity: Path | None) -> list[str]:
    """The keys that are printed of each model."""
    reads = [f"reads.{name}.change" for name in asked.watched]
    second = [f"second_reads.{name}.change" for name in asked.among]
    regions = ["err", "outside", "beside_the_neck", "change_beside_the_neck"]
    return ["success", *second, *reads, *regions, *([] if identity is None else ["identity.edit"])]


def _label_cells(asked: Correlated, metrics: Metrics, needs: str, reason: str | None) -> list[VerdictCell]:
    """The cells of the correlations of labels."""
    cells = []
    for other, value in asked.published.items():
        key = f"labels.{asked.attribute}.{other}.correlation"
        measured = key in metrics
        cells.append(
            verdicts.decide("labels", key, value, metrics, data=reason)
            if measured
            else verdicts.missing("labels", key, value, needs)
        )
    return cells


def _make_editors(
    asked: Correlated,
    editors: Mapping[str, Editor],
    faces: Mapping[str, Faces],
    given: tuple[str, ...],
    judging: Judging,
    calibrator: Judge | None,
) -> dict[str, tuple[Editor, Faces]]:
    """Make the editors, with the faces at their size, by label: the rows' models, and the directions to compare."""
    made: dict[str, tuple[Editor, Faces]] = {}
    for label, trained in editors.items():
        seen, editor = faces[label], trained
        if not editor.can("edit"):
            editor = by_vectors(trained, seen, (asked.attribute,), NUMBER, judging.seed)
            if calibrator is not None:
                editor.use_strength(calibrate(editor, calibrator, seen, (asked.attribute,), CALIBRATED_ON))
        editor.name = label
        made[label] = (editor, seen)
        mapping = equivalent_attribute(asked.attribute, editor.attributes)
        method = optional_method(trained)
        kinds = [kind for kind in asked.along.get(label, ()) if mapping and kind in kinds_of(method, mapping[0])]
        if not kinds or mapping is None:
            continue
        codes = training_codes(editor, seen, FITTED_ON, judging.seed)
        for direction in fit_directions(method, codes, (mapping[0],), given, kinds):
            fitted = direction
            if calibrator is not None:
                fitted = with_strength(editor, direction, calibrator, seen, CALIBRATED_ON)
            along = DirectionEditor(editor, [fitted])
            made[along.name] = (along, seen)
    return made


def _draw_picture(
    asked: Correlated,
    question: SideEffectSettings,
    seed: int,
    made: Mapping[str, tuple[Editor, Faces]],
    rows: tuple[str, ...],
) -> CaptionedPicture:
    """Draw test faces, their reconstructions, and every row's edit at calibrated strength."""
    shown = {row: made[row] for row in rows if row in made}
    seen = next(iter(shown.values()))[1]
    chosen = seen.indices("test", {asked.attribute: 1 - question.target, **question.subset})
    chosen = np.random.default_rng(seed).permutation(chosen)[:LINES]
    tiles = [("original", np.ascontiguousarray(seen.images[chosen]))]
    for row, (editor, own) in shown.items():
        images = np.ascontiguousarray(own.images[chosen])
        mapping = equivalent_attribute(asked.attribute, editor.attributes)
        assert mapping is not None
        if editor.can("autoencode"):
            tiles.append((shorten_title(f"{row}, unedited"), editor.reconstruct_arrays(images)))
        setting = editor.setting(**{mapping[0]: mapping[1] * asked.strength})
        tiles.append((shorten_title(row), editor.edit_arrays(images, *setting)))
    lines = [line_of([(title, images[i]) for title, images in tiles]) for i in range(len(chosen))]
    words = "test faces drawn by the seed, not chosen; edits at calibrated strength, or the end of the range without one"
    return CaptionedPicture(asked.title, stacked(lines), words)


FACES, DRAWN = 1000, 200  # of each class, as in the paper; and drawn ones


def measure_gains(
    gains: Sequence[Gain],
    editors: Mapping[str, Editor],
    faces: Mapping[str, Faces],
    limit: int | None,
    seed: int,
    data: str | None,
    out: Path,
) -> list[VerdictCell]:
    """The cells of the gains whose rows have a model; each one's page lies in `out`, in a folder of its row.

    `editors` and `faces` are by the rows' labels; `limit` is of faces, `data` says why figures from these do not compare.
    """
    cells = []
    detectors: list[LandmarkDetector] = []
    absent = None
    try:
        detectors = load_detectors(DEFAULT)
    except VisagistError as error:
        absent = f"landmark detectors ({error})"
    for gain in gains:
        needs = absent if gain.row in editors else f"the row {gain.row}"
        if needs is not None:
            cells += [verdicts.missing(gain.row, key, published, needs) for key, published in gain.published.items()]
            continue
        removal = RemovalSettings(gain.attribute, None, drawn=min(DRAWN, limit or DRAWN))
        session = session_of(editors[gain.row], faces[gain.row], EvaluationSettings(limit=limit or FACES, seed=seed))
        folder = out / gain.row.lower().replace(" ", "-").replace(",", "")
        metrics = api.report_landmarks(session, detectors, removal, folder)
        for key, published in gain.published.items():
            incomparable = gain.incomparable.get(key)
            cells.append(verdicts.decide(gain.row, key, published, metrics, incomparable=incomparable, data=data))
    return cells


MEASURES = ("accuracy", "balanced_accuracy")


def recognise_views(
    views: Sequence[View],
    editors: Mapping[str, Editor],
    faces: Mapping[str, Faces],
    settings: EvaluationSettings,
    train: int | None,
    data: str | None,
    out: Path,
) -> list[VerdictCell]:
    """The cells of the views whose rows have a model; each view's table lies in `out`, in a folder of its label.

    `editors` and `faces` are by the rows' labels; SVMs are fitted on at most `train` faces; `data` says why figures from
    these faces do not compare.
    """
    cells = []
    for view in views:
        published = dict(zip(MEASURES, (view.published, None)))
        inner = ALL_VIEWS if len(view.rows) > 1 else view.rows[0]
        absent = sorted(set(view.rows) - set(editors))
        if absent:
            needs = f"the row {', '.join(absent)}"
            cells += [verdicts.missing(view.label, f"recognition.{inner}.{key}", published[key], needs) for key in MEASURES]
            continue
        chosen = [editors[row] for row in view.rows]
        for row, editor in zip(view.rows, chosen):
            editor.name = row
        folder = out / view.label.lower().replace(" ", "-").replace(",", "")
        metrics = api.report_recognition(session_of(chosen, faces[view.rows[0]], settings), train, folder)
        for key in MEASURES:
            cell = verdicts.decide(view.label, f"recognition.{inner}.{key}", published[key], metrics, data=data)
            cells.append(cell)
    return cells
