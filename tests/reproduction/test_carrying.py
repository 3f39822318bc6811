"""A reproduction that is carried to another machine: what travels, how it goes on, and what comes back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from visagist import reproduction
from visagist.data import load_data
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.reproduction import carrying
from visagist.reproduction.carrying import bring, carry, join, main
from visagist.reproduction.flops import ASSUMED, cost_lines, training_cost
from visagist.reproduction.scales import SCALES, at_scale

NAME = "ifcvae-gan/figure3"


def test_faces_travel_as_webp_at_the_recipes_size_with_as_good_a_quality_as_fits(tmp_path: Path) -> None:
    plan = carry("introvac/figure7", "synthetic:12", tmp_path / "large")
    faces = load_data(f"pack:{tmp_path / 'large' / 'faces'}", image_size=128)
    assert (len(faces), faces.manifest["encoding"], plan["quality"]) == (12, "webp", 90)
    room = carrying._size(tmp_path / "large") - 2000
    smaller = carry("introvac/figure7", "synthetic:12", tmp_path / "small", most_bytes=room)
    assert smaller["quality"] < 90
    assert carrying._size(tmp_path / "small") <= room
    with pytest.raises(VisagistError, match="are left for them: allow for more"):
        carry("introvac/figure7", "synthetic:12", tmp_path / "none", most_bytes=1000)
    with pytest.raises(VisagistError, match="is there already"):
        carry("introvac/figure7", "synthetic:12", tmp_path / "small")
    models = [path.name for path in (tmp_path / "large" / "code" / "visagist" / "zoo").iterdir() if path.is_dir()]
    assert sorted(models) == ["judge-64", "judge-64-b", "judge-64-robust-b"]  # who scores, and who fit strength


@pytest.mark.slow
def test_what_was_carried_runs_and_comes_back_in_small_files_that_join_to_the_same_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = reproduction.get(NAME)
    short = replace(one, rows=one.rows[:1], pictures=())
    monkeypatch.setattr("visagist.reproduction.reproduce.get", lambda _: short)
    monkeypatch.setattr(carrying, "LARGEST_FILE", 20_000)
    folder, out, said = tmp_path / "carried", tmp_path / "results", list[str]()
    assert carry(NAME, None, folder, scale="smoke")["quality"] is None
    assert main(folder, said.append, ["--out", str(out), "--device", "cpu", "--state"])
    assert said[-1] == "finished"
    assert "main(HERE, print)" in (folder / "run.py").read_text()
    sizes = {path: path.stat().st_size for path in out.rglob("*") if path.is_file()}
    assert max(sizes.values()) <= 20_000
    assert any(carrying.PART in path.name for path in sizes)
    published = join(out, tmp_path / "published")
    (run,) = (published / "runs").iterdir()
    original = folder / "work" / "runs" / run.name / "best" / "model.safetensors"
    assert (run / "best" / "model.safetensors").read_bytes() == original.read_bytes()
    assert Editor.from_pretrained(run / "best", "cpu").attributes == ("Smiling",)
    assert (run / "last" / "training_state.json").exists()
    assert json.loads((published / "verdicts.json").read_text())["reproductions"][0]["name"] == NAME
    assert sorted(bring(folder / "work", out, state=True)) == sorted(p for p in sizes), "again"
    next(path for path in sizes if "best/model" in str(path)).unlink()
    with pytest.raises(VisagistError, match="is damaged: a part is missing"):
        join(out, tmp_path / "damaged")


def test_hours_are_estimated_from_operations_and_a_shared_model_is_counted_once() -> None:
    one = reproduction.get("introvac/table1")
    rows = [(row.label, at_scale(row, SCALES["smoke"], one)) for row in one.rows]
    cost = training_cost(rows[0][1])
    assert cost.hours == pytest.approx(cost.flops * rows[0][1].training.images / ASSUMED / 3600)
    assert cost.flops > 2 * 32 * 32 * 3 * 4 * 25, "at least one pass of the first convolution"
    lines = cost_lines(rows)
    assert lines[1] == "  VAC, training of IntroVAC: shares a model"
    assert "a seed, estimated from these operations" in lines[-1]
