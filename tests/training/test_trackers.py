"""Figures of a run go to Weights & Biases or MLflow too.

Neither is a dependency. Stand-ins record the calls by the signatures in their documentation: `wandb.init(project=, name=,
config=)`, `Run.log(data, step=)`, `Run.finish()`; `mlflow.set_experiment(experiment_name)`, `start_run(run_name=)`,
`log_params(params)`, `log_metrics(metrics, step=)`, `end_run()`. What the real ones do with them is not tried here.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tiny_run import prepared, settings

from visagist.errors import VisagistError
from visagist.training.trackers import check_tracker
from visagist.training.trainer import train_model


class _Run:
    def __init__(self, calls: list[Any]) -> None:
        self.calls = calls

    def log(self, data: dict[str, Any], step: int | None = None) -> None:
        self.calls.append(("figures", data, step))

    def finish(self) -> None:
        self.calls.append(("end",))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the stand-ins were told: names and settings, figures with their steps, the end."""
    calls: list[Any] = []
    wandb, mlflow = ModuleType("wandb"), ModuleType("mlflow")

    def init(project: str, name: str, config: dict[str, Any]) -> _Run:
        calls.append(("start", project, name, config))
        return _Run(calls)

    wandb.init = init  # type: ignore[attr-defined]
    mlflow.set_experiment = lambda experiment_name: calls.append(experiment_name)  # type: ignore[attr-defined]
    mlflow.start_run = lambda run_name: calls.append(run_name)  # type: ignore[attr-defined]

    def log_params(params: dict[str, Any]) -> None:
        calls[:] = [("start", *calls, params)]

    mlflow.log_params = log_params  # type: ignore[attr-defined]
    mlflow.log_metrics = lambda metrics, step: calls.append(("figures", metrics, step))  # type: ignore[attr-defined]
    mlflow.end_run = lambda: calls.append(("end",))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    return calls


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_hears_what_the_log_says(name: str, calls: list[Any], tmp_path: Path) -> None:
    net, faces = prepared("two-networks")
    train_model(net, faces, settings(), tmp_path / "first", device="cpu", tracker=name)
    start, *figures, end = calls
    assert start[:3] == ("start", "visagist", "first")
    assert (start[3]["method"], start[3]["images"], start[3]["two-networks.width"]) == ("two-networks", 96, 4)
    assert end == ("end",)
    rows = [json.loads(line) for line in (tmp_path / "first" / "log.jsonl").read_text().splitlines()]
    logged = [(row.pop("kind"), row.pop("images"), row) for row in rows]
    assert [step for _, _, step in figures] == [images for _, images, _ in logged]
    for (_, told, _), (kind, _, values) in zip(figures, logged):
        assert told == pytest.approx({f"{kind}/{key}": value for key, value in values.items()}, rel=1e-5)


def test_a_run_that_fails_is_ended_at_its_tracker(calls: list[Any], tmp_path: Path) -> None:
    def fail(step: int) -> None:
        raise VisagistError("stopped by the test")

    net, faces = prepared("two-networks", before_step=fail)
    with pytest.raises(VisagistError, match="stopped by the test"):
        train_model(net, faces, settings(), tmp_path / "run", device="cpu", tracker="wandb")
    assert calls[-1] == ("end",)


def test_a_tracker_that_is_not_known_or_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VisagistError, match="no tracker 'wandbb': did you mean wandb"):
        check_tracker("wandbb")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(VisagistError, match="mlflow is not installed: pip install mlflow"):
        check_tracker("mlflow")
