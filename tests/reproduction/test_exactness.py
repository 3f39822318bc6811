"""The benchmarks that start recipes at their width and try the engine on a device, on what is small enough."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import engine_on_gpu
import exactness

from visagist import recipes, reproduction
from visagist.reproduction.scales import DRAWN, SCALES, at_scale

ONE = reproduction.get("residual-gan/figure6")
TINY = at_scale(ONE.rows[0], SCALES["smoke"], ONE)


def test_a_recipe_is_started_goes_on_and_its_losses_are_told(tmp_path: Path) -> None:
    for steps in (1, 3):
        exactness.train(TINY, DRAWN, tmp_path, steps, 60.0, "cpu")
    assert [json.loads(line)["step"] for line in (tmp_path / "losses.jsonl").read_text().splitlines()] == [1, 2, 3]
    row = exactness.describe(tmp_path)
    assert row is not None
    assert f"| 32 | {TINY.training.batch_size} | 3 |" in row
    assert "→" in row
    assert "NOT FINITE" not in row


def test_what_faces_lack_is_told_and_all_published_recipes_are_asked_for_once(tmp_path: Path) -> None:
    male = replace(TINY, attributes=("Male",))
    exactness.train(male, DRAWN, tmp_path, 1, 60.0, "cpu")
    assert "not run: needs faces labelled Male" in str(exactness.describe(tmp_path))
    every = exactness.chosen([])
    assert len(every) == len(set(every)) > 30
    assert all(name in recipes.available() for name in every)
    kinds = exactness.distinct(every)
    assert kinds[0] == every[0]
    assert "ifcvae-gan/table3-bao" in kinds, "another method"
    assert len({exactness.alike(recipes.get(name)) for name in every}) == len(kinds) < len(every)
    assert exactness.chosen(["introvac/figure7"]) == ["vac/eyefacial-128", "introvac/eyefacial-128"]


def test_variants_of_the_engine_are_measured_and_one_that_cannot_run_says_why() -> None:
    rows = engine_on_gpu.measure(TINY, ["contiguous", "fused optimizers"], "cpu", 1, 1)
    assert [row.split(" | ")[1] for row in rows] == ["contiguous", "fused optimizers"]
    one = reproduction.get("ifcvae-gan/figure3")
    (row,) = engine_on_gpu.measure(at_scale(one.rows[0], SCALES["smoke"], one), ["fused optimizers"], "cpu", 1, 1)
    assert "no optimizer of it has a fused form" in row
