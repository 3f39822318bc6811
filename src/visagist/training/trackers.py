"""Send the figures of a run to Weights & Biases or MLflow too, where they are installed and asked for.

Each start of a training is a run there, named after the run folder; a resumed one is another of the same name. Steps are
images seen. Where figures go is the tracker's own matter: $MLFLOW_TRACKING_URI, and `wandb login` or $WANDB_MODE=offline.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from visagist.errors import VisagistError, nearest

PROJECT = "visagist"


class Tracker(Protocol):
    """What a run log hands its figures to."""

    def add_scalars(self, values: Mapping[str, float], step: int) -> None: ...
    def close(self) -> None: ...


class _Wandb:
    def __init__(self, run: Path, settings: Mapping[str, Any]) -> None:
        self._run = _import("wandb").init(project=PROJECT, name=run.name, config=dict(settings))

    def add_scalars(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


class _Mlflow:
    def __init__(self, run: Path, settings: Mapping[str, Any]) -> None:
        self._mlflow = _import("mlflow")
        self._mlflow.set_experiment(PROJECT)
        self._mlflow.start_run(run_name=run.name)
        self._mlflow.log_params(dict(settings))

    def add_scalars(self, values: Mapping[str, float], step: int) -> None:
        self._mlflow.log_metrics({key: float(value) for key, value in values.items()}, step=step)

    def close(self) -> None:
        self._mlflow.end_run()


_KINDS: dict[str, Callable[[Path, Mapping[str, Any]], Tracker]] = {"mlflow": _Mlflow, "wandb": _Wandb}


def check_tracker(name: str) -> None:
    """VisagistError for a tracker that is not known, or not installed."""
    if name not in _KINDS:
        raise VisagistError(f"no tracker {name!r}: {nearest(name, _KINDS)}")
    _import(name)


def open_tracker(name: str, run: Path, settings: Mapping[str, Any]) -> Tracker:
    """Begin a run at a tracker, with the settings of the training and of the method."""
    check_tracker(name)
    return _KINDS[name](run, settings)


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise VisagistError(f"{name} is not installed: pip install {name}, or leave out the tracker") from error
