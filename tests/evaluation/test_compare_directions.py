"""Directions compared, in a world where the code is the brightness of either half of a face."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from doubles import BRIGHT, DARK, NAMES, SIZE, BrightnessJudge, DoNothing, Settings, evaluate
from rich.console import Console
from rich.progress import Progress

from visagist import api
from visagist.data.faces import Faces
from visagist.editing.direction_editor import DirectionEditor
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation import Metrics
from visagist.evaluation.compare_directions import check_direction_settings, compare_directions
from visagist.evaluation.session import EvaluationSettings, session_of
from visagist.latent.direction_method import RANGE, STEP
from visagist.latent.direction_types import Direction
from visagist.methods.base import Code, Method

KINDS = ("mean", "logistic", "svm", "lda")
SMILE = "direction.Smiling"


class Halves(DoNothing):
    """z [B, 2] is the brightness of the upper and of the lower half; it edits nothing of itself."""

    capabilities = frozenset({"autoencode"})

    def encode(self, images: torch.Tensor) -> Code:
        half = SIZE // 2
        return Code(torch.stack([images[:, :, :half].mean((1, 2, 3)), images[:, :, half:].mean((1, 2, 3))], 1))

    def decode(self, code: Code) -> torch.Tensor:
        rows = code.z.repeat_interleave(SIZE // 2, 1).clamp(0, 1)
        return rows[:, None, :, None].expand(-1, 3, SIZE, SIZE)


class Weighed(Halves):
    """Halves with a linear classifier on z, which looks at the lower half."""

    def directions(self) -> torch.Tensor:
        return torch.tensor([[0.0, 1.0]])


Halves.name, Weighed.name = "halves", "weighed"


def faces_where_both_go_together(number: int = 600, agreement: float = 0.9) -> Faces:
    """The lower half is bright where a face smiles, the upper where it is young; most who smile are young."""
    rng = np.random.default_rng(0)
    young = rng.random(number) < 0.5
    smiling = np.where(rng.random(number) < agreement, young, ~young)
    images = np.empty((number, SIZE, SIZE, 3))
    for rows, present in ((slice(SIZE // 2), young), (slice(SIZE // 2, None), smiling)):
        level = np.where(present, BRIGHT, DARK) + rng.normal(0, 20, number)
        images[:, rows] = level[:, None, None, None]
    return Faces(
        images=images.clip(0, 255).astype(np.uint8),
        labels=np.stack([smiling, young, np.zeros(number)], 1).astype(np.uint8),
        names=NAMES,
        split=(np.arange(number) % 3).astype(np.uint8),
        files=tuple(f"{i}" for i in range(number)),
        manifest={"source": "halves", "crop": "drawn"},
    )


def compared(
    faces: Faces, method: type[Halves] = Halves, out: Path | None = None, **options: Any
) -> tuple[Metrics, list[Direction]]:
    editor = Editor(method(), name="world")
    named = {"attributes": ["Smiling"], "given": ["Young"], "calibrated_on": 30, **options.pop("plan", {})}
    progress = options.pop("progress", None)
    given = {"judge": BrightnessJudge(), "calibrator": BrightnessJudge("calibrator"), "limit": 1000, **options}
    session = session_of(editor, faces, EvaluationSettings(**given))
    return api.report_directions(session, check_direction_settings(session, **named), out, progress=progress)


def embed(images: np.ndarray) -> np.ndarray:
    """Who somebody is, is how bright the upper half is beside the lower."""
    return np.stack([images[:, : SIZE // 2].mean((1, 2, 3)), images[:, SIZE // 2 :].mean((1, 2, 3))], 1) + 1.0


@pytest.fixture(scope="module")
def faces() -> Faces:
    return faces_where_both_go_together()


@pytest.fixture(scope="module")
def found(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> tuple[Metrics, list[Direction], Path]:
    out = tmp_path_factory.mktemp("report") / "new"
    return (*compared(faces, Weighed, out, identity=embed), out)


def test_conditioning_keeps_still_what_a_plain_direction_takes_along(found: tuple[Metrics, list[Direction], Path]) -> None:
    metrics, _, _ = found
    for setting in ("at_strength", "at_step"):
        plain, bare = (f"{SMILE}.mean.{still}.{setting}" for still in ("plain", "given_Young"))
        for way, sign in (("adding", 1), ("removing", -1)):
            taken_along = sign * metrics[f"{plain}.reads.Young.{way}.change"]["value"]
            kept_still = sign * metrics[f"{bare}.reads.Young.{way}.change"]["value"]
            assert taken_along > 0.3
            assert kept_still < taken_along - 0.3
        assert metrics[f"{bare}.err"]["value"] < metrics[f"{plain}.err"]["value"]
    read = f"{SMILE}.mean.plain.at_strength.reads.Young.adding"
    before, after, change = (metrics[f"{read}.{part}"] for part in ("before", "after", "change"))
    assert after["value"] - before["value"] == pytest.approx(change["value"], abs=1e-6)
    assert change["low"] < change["value"] < change["high"]
    assert metrics[f"{SMILE}.mean.plain.at_strength.second_reads.Young.adding.change"] == change  # a judge of the same mind


def test_at_equal_strength_the_kinds_succeed_alike_and_the_lengths_differ(
    found: tuple[Metrics, list[Direction], Path],
) -> None:
    metrics, _, _ = found
    keys = [f"{SMILE}.{kind}.{still}" for kind in ("classifier", *KINDS) for still in ("plain", "given_Young")]
    for key in keys:
        assert metrics[f"{key}.at_strength.success_0"]["value"] > 0.9
        assert metrics[f"{key}.at_strength.from_0.success_1"]["value"] > 0.9
    strengths = {round(metrics[f"{key}.at_strength.length.adding"]["value"], 3) for key in keys}
    steps = {metrics[f"{key}.at_step.length.adding"]["value"] for key in keys}
    assert len(strengths) > 1 == len(steps)
    assert metrics[f"{SMILE}.unedited.success_0"]["value"] < 0.1
    assert metrics[f"{SMILE}.unedited.from_0.success_1"]["value"] < 0.1


def test_a_direction_that_moves_the_right_half_alone_has_its_energy_there(
    found: tuple[Metrics, list[Direction], Path],
) -> None:
    metrics, _, _ = found
    own, plain = (metrics[f"{SMILE}.{kind}.plain.at_strength.locality"]["value"] for kind in ("classifier", "mean"))
    assert own > plain
    assert metrics[f"{SMILE}.classifier.plain.at_strength.err"]["value"] < 0.05


def test_identity_is_measured_beside_the_reconstruction(found: tuple[Metrics, list[Direction], Path]) -> None:
    metrics, _, _ = found
    key = f"{SMILE}.classifier.plain.at_strength.identity"
    assert metrics[f"{key}.drop"]["value"] == pytest.approx(1 - metrics[f"{key}.edit"]["value"], abs=1e-3)
    assert metrics[f"{key}.drop"]["value"] > 0.01


def test_the_report_is_written_whole_and_loads_nothing(found: tuple[Metrics, list[Direction], Path]) -> None:
    metrics, directions, out = found
    names = ["directions.csv", "directions.html", "directions.json", "directions.safetensors"]
    assert sorted(path.name for path in out.iterdir()) == names
    assert json.loads((out / "directions.json").read_text())["metrics"] == json.loads(json.dumps(metrics.values))
    rows = list(csv.DictReader(io.StringIO((out / "directions.csv").read_text())))
    assert {row["key"] for row in rows} == {*metrics.values, *metrics.not_computed}
    page = (out / "directions.html").read_text()
    assert page.count("<img") == 6 * (2 + len(directions))
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.index("<img") < page.index("At equal judged strength") < page.index("At equal length")
    for direction in directions:
        assert f">{direction.label}</th>" in page
    assert metrics.matrices["cosine.Smiling"]["rows"] == [direction.label for direction in directions]
    assert "logistic regression found that direction" in page  # the classifier knows Smiling alone


def test_a_saved_direction_is_measured_by_the_whole_protocol(
    found: tuple[Metrics, list[Direction], Path], faces: Faces
) -> None:
    metrics, _, out = found
    editor = DirectionEditor.from_file(out / "directions.safetensors", Editor(Weighed()), "lda", ["Young"])
    whole = evaluate(editor, faces, judge=BrightnessJudge())
    key = f"{SMILE}.lda.given_Young"
    for setting, theirs in (("at_strength", "at_strength."), ("at_step", "")):
        for side in ("success_0", "from_0.success_1"):
            assert whole[f"edit.Smiling.{theirs}{side}"] == metrics[f"{key}.{setting}.{side}"]
        assert whole[f"edit.Smiling.{theirs}err"] == metrics[f"{key}.{setting}.err"]
    assert whole["edit.Smiling.locality"] == metrics[f"{key}.at_step.locality"]


def test_the_same_seed_gives_the_same_figures_and_the_limits_are_kept(faces: Faces) -> None:
    few = {"fitted_on": 60}
    first, second = (compared(faces, plan=few, limit=40, seed=3)[0] for _ in range(2))
    assert first.values == second.values
    assert (first.manifest["data"]["n"], first.manifest["data"]["training_faces_read"]) == (40, 60)
    assert compared(faces, plan=few, limit=40, seed=4)[0].values != first.values


def test_what_is_not_computed_says_why(faces: Faces) -> None:
    metrics, directions = compared(faces, plan={"given": []})
    assert {direction.given for direction in directions} == {()}
    assert "name one to condition on" in metrics.not_computed[f"{SMILE}.*.given_*"]
    assert "no linear classifier" in metrics.not_computed[f"{SMILE}.classifier.*"]
    assert "no identity embedder" in metrics.not_computed["direction.*.identity.*"]
    blind = compared(faces, calibrator=BrightnessJudge("calibrator", attributes=("Young",)))[0]
    assert blind.not_computed[f"{SMILE}.mean.plain.at_strength.*"] == "calibrator does not know the attribute"
    assert f"{SMILE}.mean.plain.at_step.success_0" in blind
    assert f"{SMILE}.mean.plain.at_strength.success_0" not in blind
    unread = compared(faces, judge=BrightnessJudge(attributes=("Smiling", "Bald")))[0]
    assert unread.not_computed[f"{SMILE}.mean.plain.at_step.reads.Young.*"] == "brightness does not know Young"


def test_male_is_held_still_by_default_where_faces_are_labelled_with_it(faces: Faces) -> None:
    editor = Editor(Halves())
    assert check_direction_settings(session_of(editor, faces), None, None).given == ()
    labelled = replace(faces, names=("Smiling", "Male", "Wearing_Hat"))
    plan = check_direction_settings(session_of(editor, labelled), None, None)
    assert (plan.attributes, plan.given, plan.step) == (("Smiling",), ("Male",), STEP)


def test_judges_keep_to_their_part(faces: Faces) -> None:
    with pytest.raises(VisagistError, match="calibrates strength and never scores"):
        compared(faces, judge=BrightnessJudge("judge-64-b"))
    with pytest.raises(VisagistError, match="never calibrates"):
        compared(faces, calibrator=BrightnessJudge("judge-64"))
    with pytest.raises(VisagistError, match="one would fit strength and score it"):
        compared(faces, judge=BrightnessJudge("one"), calibrator=BrightnessJudge("one"))


def test_bad_requests_are_refused_before_any_work(faces: Faces, tmp_path: Path) -> None:
    with pytest.raises(VisagistError, match="did you mean Smiling"):
        compared(faces, plan={"attributes": ["Smilin"]})
    with pytest.raises(VisagistError, match=f"equal step is 9 units: give more than 0 and at most {RANGE:g}"):
        compared(faces, plan={"step": 9.0})
    with pytest.raises(VisagistError, match="limit=0"):
        compared(faces, limit=0)
    with pytest.raises(VisagistError, match="no label for Smiling, which"):
        compared(replace(faces, names=("Bald", "Young", "Wearing_Hat")), plan={"attributes": None})
    with pytest.raises(VisagistError, match="knows none of Wearing_Hat"):
        compared(faces, plan={"attributes": ["Wearing_Hat"]})
    still = replace(faces, labels=np.where((faces.split == 1)[:, None], 1, faces.labels).astype(np.uint8))
    with pytest.raises(VisagistError, match="validation faces are all Smiling=1, strength needs both classes"):
        compared(still)
    (tmp_path / "file").write_text("")
    with pytest.raises(VisagistError, match="choose another --out"):
        compared(faces, out=tmp_path / "file")

    class Blind(Method):
        capabilities = frozenset({"generate"})

    Blind.name = "blind"  # after the class is made, so that it is not registered
    editor = Editor(Blind(Settings(), ("Smiling",), SIZE))
    judges = EvaluationSettings(judge=BrightnessJudge(), calibrator=BrightnessJudge("calibrator"))
    session = session_of(editor, faces, judges)
    settings = check_direction_settings(session, None, None)
    with pytest.raises(VisagistError, match="has no code"):
        compare_directions(session, settings)


def test_the_bar_is_full_at_the_end(faces: Faces) -> None:
    with Progress(console=Console(file=io.StringIO())) as bar:
        compared(faces, plan={"fitted_on": 60}, limit=30, progress=bar)
        assert bar.tasks[0].completed == bar.tasks[0].total
