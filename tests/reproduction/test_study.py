"""The scale study: narrow networks, equal images, seed after seed, in calls that end by a limit and go on."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from visagist import recipes, reproduction
from visagist.checkpoints import checkpoint
from visagist.errors import VisagistError
from visagist.progress import Progress
from visagist.reproduction.budget import Budget, PlannedRun, in_words
from visagist.reproduction.reproduce import reproduce
from visagist.reproduction.scales import SCALES, at_scale, critic_steps, study_images

NAME = "ifcvae-gan/figure3"
LATE = 1e9


class _Clock(Progress):
    """Keeps what is said, and lets a very long time pass when a line begins so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, late_at: str = "never") -> None:
        self.lines: list[str] = []
        self.late_at, self.ahead, real = late_at, 0.0, time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + self.ahead)

    def message(self, line: str) -> None:
        self.lines.append(line)
        if line.startswith(self.late_at):
            self.ahead = LATE

    @property
    def rows(self) -> list[str]:
        return [line.partition(";")[0] for line in self.lines if line.startswith("row ")]


def test_all_rows_of_a_paper_see_equal_images_at_the_papers_size_in_narrower_networks() -> None:
    for one in reproduction.available().values():
        for row in one.rows:
            study, paper = at_scale(row, SCALES["study"], one), recipes.get(row.recipe)
            seen = study.training.images / critic_steps(study)
            assert 0 <= seen - study_images(one) < study.training.batch_size
            assert study.image_size == paper.image_size
            assert study.config.width < paper.config.width
    one = reproduction.get("residual-gan/figure6")
    glasses = at_scale(one.rows[0], SCALES["study"], one)
    assert glasses.config.pixel_weight == recipes.get("residual-gan/eyeglasses-128").config.pixel_weight


def test_a_plan_counts_a_shared_model_once_and_what_is_left_from_a_row_on() -> None:
    plan = Budget(
        "a/table1",
        (
            PlannedRun("ours", 0, 3600, 7200, 1.0),
            PlannedRun("same", 0, 0, 7200, 1.0, shared="ours"),
            PlannedRun("ours", 1, 0, 7200, 1.0),
        ),
    )
    assert plan.hours == 3.0
    assert plan.hours_from("ours", 1) == 2.0
    assert plan.lines() == [
        "a/table1: 2 rows × 2 seeds; 3.0 hours of training left at measured rates",
        "  ours: 2 × 7,200 images, 3,600 of them seen already; 1 a second here, 3.0 hours left",
        "  same: the model of ours",
    ]
    assert (in_words(0.01), in_words(0.5)) == ("36 seconds", "30 minutes")


@pytest.mark.slow
def test_a_call_ends_after_its_minutes_with_what_is_finished_written_and_the_same_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCALES, "smoke", replace(SCALES["smoke"], planned=True, seeds=2))
    labels = [row.label for row in reproduction.get(NAME).rows]
    watch = _Clock(monkeypatch, "row 2 of 2, seed 0")
    stopped = reproduce(NAME, scale="smoke", out=tmp_path, minutes=60, device="cpu", progress=watch)
    assert stopped["unfinished"] == [f"{labels[1]}, seed 0", f"{labels[0]}, seed 1", f"{labels[1]}, seed 1"]
    assert "the minutes are over: saved, and the same command goes on" in watch.lines
    verdict = {cell["row"]: cell["verdict"] for cell in stopped["cells"]}
    assert verdict[labels[1]] == "not run: needs its training, 8 of 24 images so far"
    assert verdict[labels[0]].startswith("not comparable because")
    assert stopped["pictures"][0]["words"] == f"not run: needs the row {labels[1]}"
    assert labels[0] in (tmp_path / "index.html").read_text()
    folders = list((tmp_path / "runs").iterdir())
    seen = sorted(checkpoint.read_description(folder / "last")["training"]["images"] for folder in folders)
    assert seen == [8, 24]
    watch = _Clock(monkeypatch)
    whole = reproduce(NAME, scale="smoke", out=tmp_path, minutes=60, device="cpu", progress=watch)
    assert watch.rows == [f"row {n} of 2, seed {seed}: {labels[n - 1]}" for seed in (0, 1) for n in (1, 2)]
    assert any("8 of them seen already" in line for line in watch.lines)
    assert whole["unfinished"] == []
    assert [len(row["runs"]) for row in whole["rows"]] == [2, 2]
    measured = [cell for cell in whole["cells"] if cell["ours"] is not None]
    assert {len(cell["between_runs"]["values"]) for cell in measured} == {2}
    assert whole["pictures"][0]["file"] is not None
    assert len(list((tmp_path / "runs").iterdir())) == 4
    assert json.loads((tmp_path / "verdicts.json").read_text())["reproductions"][0] == whole


def test_a_call_for_some_rows_trains_these_alone_and_keeps_what_the_others_have(tmp_path: Path) -> None:
    labels = [row.label for row in reproduction.get(NAME).rows]
    with pytest.raises(VisagistError, match=f"{NAME} has no row 'our': did you mean ours"):
        reproduce(NAME, scale="smoke", out=tmp_path, rows=["our"], device="cpu")
    with pytest.raises(VisagistError, match="no family of figures 'leaks' to leave out: did you mean leakage"):
        reproduce(NAME, scale="smoke", out=tmp_path, without=["leaks"], device="cpu")
    entry = reproduce(NAME, scale="smoke", out=tmp_path, rows=[labels[1]], without=["leakage"], device="cpu")
    assert entry["unfinished"] == [f"{labels[0]}, seed 0"]
    assert entry["command"].endswith(f"--row '{labels[1]}' --without leakage")
    (leakage,) = (c for c in entry["cells"] if c["row"] == labels[1] and c["key"].startswith("leakage."))
    assert leakage["verdict"] == "not run: needs a report with it (left out, as asked)"
    assert {cell["row"] for cell in entry["cells"] if cell["ours"] is not None} == {labels[1]}
    assert len(list((tmp_path / "runs").iterdir())) == 1
