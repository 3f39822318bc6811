"""Measure a trained model against true counterfactuals, at the paper's setting and at a strength fitted to the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from visagist.boundary.schema import Count, Open, json_text, read_object
from visagist.checkpoints import checkpoint
from visagist.data.drawn.synthetic import load_synthetic
from visagist.editing.editor import Editor
from visagist.editing.modes import Mode
from visagist.errors import VisagistError
from visagist.evaluation.context import Images
from visagist.evaluation.metrics.counterfactual import (
    FITTED,
    PAPER,
    PHOTOGRAPH,
    DrawnCounterfactuals,
    Shown,
    compare,
    compare_unedited,
)
from visagist.evaluation.metrics.leakage import right
from visagist.evaluation.results import StoredMeasure
from visagist.evaluation.statistics import Measure, balanced_mean_ci
from visagist.files import sha256_of_json, write_file
from visagist.latent.codes import encode_images
from visagist.latent.probes import LEAST, PROBES, read_label
from visagist.reproduction.runs import Run

AMOUNTS = tuple(step / 8 for step in range(1, 9))
FRESH = 2_000_003  # added to the seed, so that no model has learned from the faces that measure it
PROBED = 5  # faces whose codes are probed, for each test face: a probe needs more, and nothing is drawn again for them
VERSION = 4  # of stored measurements; models with another version are measured again


@dataclass(frozen=True)
class Fresh:
    """Drawn faces with independent attributes, on which no model was trained.

    test    to measure edits on
    fit     to fit the strength of edits on
    probed  to probe codes of
    """

    test: DrawnCounterfactuals
    fit: DrawnCounterfactuals
    probed: DrawnCounterfactuals
    sha256: tuple[str, str, str]


def draw_fresh_faces(number: int, size: int, seed: int) -> Fresh:
    """Draw `number` faces to measure on, half as many to fit strength on, and `PROBED` times as many to probe."""
    test, fit = (
        load_synthetic(count, image_size=size, seed=FRESH + 2 * seed + index)
        for index, count in enumerate((number, max(10, number // 2)))
    )
    probed = load_synthetic(PROBED * number, image_size=size, seed=2 * FRESH + seed)
    seals = tuple(faces.manifest["sha256"] for faces in (test, fit, probed))
    drawn = [DrawnCounterfactuals(faces) for faces in (test, fit, probed)]
    return Fresh(drawn[0], drawn[1], drawn[2], cast(tuple[str, str, str], seals))


def fit_amounts(shown: Shown, attribute: str) -> tuple[float, float]:
    """Find the amounts toward 0 and 1, of `AMOUNTS`, whose edits come nearest to the reconstruction of the truth."""
    rows = shown.drawn.visible(attribute)
    present = shown.drawn.labels(attribute)[rows]
    rebuilt = shown.rebuilt(attribute)[rows].astype(np.float64)
    amounts = []
    for side in (True, False):
        side_rows = rows[present == side]
        if not len(side_rows):
            raise VisagistError(f"no fresh face {'has' if side else 'lacks'} {attribute}: measure on more of them, --test")
        truth = rebuilt[present == side]
        errors = [np.square(shown.edited(attribute, side_rows, (a, a)) - truth).sum() for a in AMOUNTS]
        amounts.append(AMOUNTS[int(np.argmin(errors))])
    return amounts[0], amounts[1]


@dataclass(frozen=True)
class StoredBench(Open):
    """The stored measurements of one model."""

    amounts: Mapping[str, tuple[float, float]]
    measures: Mapping[str, Mapping[str, StoredMeasure]]
    hidden: Count


def measure_once(run: Run, faces: Fresh, attribute: str, device: str, seed: int) -> dict[str, Any]:
    """Read a model's measurements, or measure it and write them.

    amounts     by setting: toward 0 and toward 1
    measures    by setting, `unedited` and, of a model with a code, `code`: by key, `Measure`
    """
    described = checkpoint.read_description(run.model)
    asked = {
        "version": VERSION,
        "weights": described["weights_sha256"],
        "vectors": described.get("vectors"),
        "attribute": attribute,
        "faces": faces.sha256,
        "seed": seed,
    }
    path = run.folder / "bench" / f"{sha256_of_json(asked)[:16]}.json"
    if path.exists():
        return read_object(path, StoredBench, "remove it to measure again")
    editor = Editor.from_pretrained(run.folder, device)
    content = measure(editor, faces, attribute, seed)
    write_file(path, json_text(content, 1) + "\n")
    return content


def measure(editor: Editor, faces: Fresh, attribute: str, seed: int) -> dict[str, Any]:
    """Measure a model; the result is that of `measure_once`."""
    paper = float(editor.backend.paper_amount)
    amounts = {PAPER: (paper, paper), FITTED: fit_amounts(Shown(faces.fit, editor), attribute)}
    shown, rows = Shown(faces.test, editor), faces.test.visible(attribute)
    truth = shown.truth(attribute, rows)
    measures: dict[str, dict[str, Measure]] = {"unedited": compare_unedited(truth, seed)}
    for setting, amount in amounts.items():
        measures[setting] = compare(shown.edited(attribute, rows, amount), truth, seed)
    edited = shown.edited(attribute, rows, amounts[FITTED])
    kept = Mode.DETAIL.show(truth.photo, edited, truth.unedited)
    measures[PHOTOGRAPH] = compare(kept, truth.of_photographs(), seed)
    if editor.can("autoencode"):
        measures["code"] = probe_code(editor, faces.probed, attribute, seed)
    hidden = len(faces.test.indices) - len(rows)
    return {"amounts": {name: list(pair) for name, pair in amounts.items()}, "measures": measures, "hidden": hidden}


def probe_code(editor: Editor, drawn: DrawnCounterfactuals, attribute: str, seed: int) -> dict[str, Measure]:
    """Measure the balanced accuracy of fresh probes on the codes of drawn faces; {} where a class is too small.

    All attributes are independent here, so what exceeds one half is information about this one alone.
    """
    labels = drawn.labels(attribute)
    if min(labels.sum(), (~labels).sum()) < LEAST:
        return {}
    z = encode_images(editor, drawn.photos).z.flatten(1).numpy()
    read = {name: read_label(probe, z, labels, seed=seed) for name, probe in PROBES.items()}
    read["best"] = max(read.values(), key=lambda reading: reading.validated)
    return {
        f"{name}.balanced_accuracy": balanced_mean_ci(right(reading.probabilities, labels), labels)
        for name, reading in read.items()
    }


def choose_rows(drawn: DrawnCounterfactuals, pair: tuple[str, ...], lines: int, seed: int) -> NDArray[np.int64]:
    """Choose the rows of faces to show by the seed: half have both attributes, half have neither."""
    first, second = (drawn.labels(name) for name in pair)
    visible = np.isin(np.arange(len(first)), drawn.visible(pair[0]))
    order = np.random.default_rng(seed).permutation(len(first))
    sides = [order[(visible & (first == second) & (first == side))[order]][: lines // 2] for side in (False, True)]
    return np.concatenate(sides)


def edit_shown_faces(
    run: Run, drawn: DrawnCounterfactuals, attribute: str, rows: NDArray[np.int64], amounts: Any, device: str
) -> Images:
    """Edit these faces with a model toward the class that they are not of."""
    shown = Shown(drawn, Editor.from_pretrained(run.folder, device))
    return shown.edited(attribute, rows, (float(amounts[0]), float(amounts[1])))
