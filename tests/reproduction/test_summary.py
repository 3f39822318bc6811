"""What a folder of reproductions amounts to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Command

from visagist.errors import VisagistError
from visagist.reproduction.files import SCHEMA_VERSION, count, summary
from visagist.reproduction.verdicts import REACHED, UNPUBLISHED


def cell(verdict: str, compared: str | None = None, published: float | None = 0.5) -> dict[str, Any]:
    return {"row": "ours", "key": "reconstruction.mse", "published": published, "verdict": verdict, "compared": compared}


def entry(name: str, scale: str, cells: list[dict[str, Any]]) -> dict[str, Any]:
    trained = {"run": "runs/a", "images": 4096, "judged_faces": 500}
    rows = [{"row": "ours", **trained}, {"row": "again", **trained}]
    rows.append({"row": "other", "run": "runs/b", "images": 512, "judged_faces": 500})
    rows.append({"row": "lacking", "not_run": "needs faces labelled Male"})
    return {"name": name, "scale": scale, "seed": 0, "seconds": 90.0, "rows": rows, "cells": cells}


def written(folder: Path, *entries: dict[str, Any]) -> Path:
    (folder / "verdicts.json").write_text(json.dumps({"schema_version": SCHEMA_VERSION, "reproductions": list(entries)}))
    return folder


def test_every_figure_is_counted_once_by_its_verdict() -> None:
    partly = "not comparable because a part of CelebA"
    cells = [
        cell(REACHED, REACHED),
        cell("short by 0.1", "short by 0.1"),
        cell(partly, REACHED),
        cell(partly, REACHED),
        cell(partly, "short by 1"),
        cell(UNPUBLISHED, None, None),
        cell("not comparable because FIDs are of other weights"),
        cell("not run: needs a feature network"),
    ]
    assert count(cells) == {
        "reached": 1, "short": 1, "would_reach": 2, "would_be_short": 1, "unpublished": 1, "other_kind": 1, "not_run": 1,
    }  # fmt: skip
    assert sum(count(cells).values()) == len(cells)


def test_a_record_says_how_many_models_saw_how_many_images(tmp_path: Path) -> None:
    folder = written(tmp_path, entry("b/table1", "small", [cell(REACHED)]), entry("a/figure2", "smoke", []))
    records = summary(folder)
    assert [record["name"] for record in records] == ["a/figure2", "b/table1"]
    assert records[1]["models"] == 2
    assert records[1]["rows"] == 4
    assert records[1]["images"] == [512, 4096]
    assert records[1]["judged_faces"] == 500
    assert records[1]["reached"] == 1


def test_the_command_prints_it_and_refuses_a_folder_that_holds_none(tmp_path: Path, command: Command) -> None:
    folder = written(tmp_path, entry("b/table1", "small", [cell("short by 0.1", "short by 0.1")]))
    assert json.loads(command("reproduce", "--summary", "--out", folder, "--json").out)[0]["short"] == 1
    shown = command("reproduce", "--summary", "--out", folder).out
    assert "b/table1" in shown
    assert "512" in shown
    with pytest.raises(VisagistError, match=r"holds no verdicts\.json"):
        summary(tmp_path / "nowhere")
    assert "give --out" in command("reproduce", "--summary").error
