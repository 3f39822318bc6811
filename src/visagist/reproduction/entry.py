"""The entry of `verdicts.json` of one name: faces, machine, rows, figures, and the commands that make them again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visagist import recipes
from visagist.data.faces import split_counts
from visagist.environment import describe_machine, package_versions
from visagist.reproduction import runs
from visagist.reproduction.outcomes import RowOutcome, Source
from visagist.reproduction.runs import Judging, Run
from visagist.reproduction.scales import Scale


def entry_facts(source: Source, shown: Source, outcomes: list[RowOutcome], out: Path, judging: Judging) -> dict[str, Any]:
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


def _source_facts(source: Source, outcomes: list[RowOutcome]) -> dict[str, Any]:
    faces = source.faces(outcomes[0].recipe)
    keys = ("source", "crop", "image_size", "count", "sha256")
    return {"given": source.data, **{key: faces.manifest.get(key) for key in keys}, "faces": split_counts(faces.split)}


def _row_facts(outcome: RowOutcome, data: str, shown: str, out: Path, judging: Judging) -> dict[str, Any]:
    recipe, run = outcome.recipe, outcome.run
    facts: dict[str, Any] = {"row": outcome.row.label, "recipe": recipe.name, "published_recipe": outcome.row.recipe}
    if run is None or outcome.metrics is None or outcome.report is None:
        return {**facts, "not_run": f"needs {outcome.needs}"}
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


def command_line(
    name: str, scale: Scale, data: str | None, other: str | None, out: Path | str, minutes: float | None, judging: Judging,
    seeds: int = 1, rows: Sequence[str] = (),
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
    given += [part for label in rows for part in ("--row", label)]
    given += ["--any-code"] if judging.any_code else []
    return shlex.join(["visagist", "reproduce", name, *given, *judging.given])
