"""Two processes that share a batch do what one does with the whole of it, batch norm and validation included."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import train
from two_processes import FEW, JOBS, MANY
from two_processes import train as train_job

from visagist.training.distributed import World

ALONE = World(0, 1, torch.device("cpu"))
SCRIPT = Path(__file__).parents[1] / "support" / "two_processes.py"


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of all jobs by two gloo processes; `resumed` goes on with 48 images of one process."""
    out = tmp_path_factory.mktemp("two")
    train_job_until_half(out)
    command = [sys.executable, "-W", "error", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(SCRIPT), str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def train_job_until_half(out: Path) -> None:
    train_job("half", out, ALONE)
    (out / "half").rename(out / "resumed")


def found(of_two: Path) -> list[dict[str, Any]]:
    return [json.loads((of_two / f"found-{rank}.json").read_text()) for rank in (0, 1)]


def assert_same_run(one: Path, two: Path, **tolerance: float) -> None:
    for part in ("last", "best"):
        expected, got = (load_file(run / part / "model.safetensors") for run in (one, two))
        assert expected.keys() == got.keys()
        for name, value in expected.items():
            torch.testing.assert_close(got[name], value, **(tolerance or {"rtol": 1e-3, "atol": 2e-4}))


@pytest.mark.parametrize("job", ["alternating", "averaged", "ifcvae-gan", "introvac"])
def test_two_processes_end_with_the_weights_and_statistics_of_one(job: str, of_two: Path, tmp_path: Path) -> None:
    train_job(job, tmp_path, ALONE)
    assert_same_run(tmp_path / job, of_two / job)


@pytest.mark.slow
def test_statistics_of_each_process_give_other_weights(of_two: Path, tmp_path: Path) -> None:
    """Otherwise the equality above would say nothing of batch norm."""
    train_job("own-statistics", tmp_path, ALONE)
    with pytest.raises(AssertionError):
        assert_same_run(tmp_path / "own-statistics", of_two / "own-statistics", rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("job", JOBS)
def test_all_processes_hold_the_same_weights_and_statistics_when_a_run_is_saved(job: str, of_two: Path) -> None:
    first, second = (part["states"][job] for part in found(of_two))
    assert first == second


def test_two_processes_go_on_with_what_one_began(of_two: Path, tmp_path: Path) -> None:
    train_job("resumed", tmp_path, ALONE)
    assert_same_run(tmp_path / "resumed", of_two / "resumed")
    progress = [json.loads((run / "resumed/last/training_state.json").read_text()) for run in (tmp_path, of_two)]
    assert progress[0]["progress"]["images"] == progress[1]["progress"]["images"] == 96
    assert progress[0]["shadow_updates"] == progress[1]["shadow_updates"] == 12


def test_one_process_goes_on_with_what_two_began(of_two: Path, tmp_path: Path) -> None:
    shutil.copytree(of_two / "half", tmp_path / "continued")
    train(tmp_path / "continued", "alternating", resume=True, ema_decay=0.9)
    train(tmp_path / "whole", "alternating", ema_decay=0.9)
    assert_same_run(tmp_path / "whole", tmp_path / "continued")


def test_validation_shared_by_two_is_that_of_one(of_two: Path, tmp_path: Path) -> None:
    train(tmp_path / "validated", "alternating", faces=MANY, **FEW)
    rows = [(out / "validated/log.jsonl").read_text().splitlines()[-1] for out in (tmp_path, of_two)]
    one, two = (json.loads(row) for row in rows)
    assert one.pop("kind") == two.pop("kind") == "val"
    assert two == pytest.approx(one, rel=1e-5)
    assert_same_run(tmp_path / "validated", of_two / "validated")


def test_a_signal_to_one_process_stops_both_after_the_same_step(of_two: Path) -> None:
    assert [part["stopped"] for part in found(of_two)] == [6, 6]
    saved = json.loads((of_two / "stopped/last/config.json").read_text())["training"]
    assert saved["step"] == 6


def test_processes_that_made_different_weights_begin_with_those_of_the_first(of_two: Path) -> None:
    assert [part["alike"] for part in found(of_two)] == [True, True]


@pytest.mark.parametrize(("case", "within"), [("images", 1e-4), ("codes", 1e-4), ("frozen", 1e-4), ("cumulative", 1e-4)])
def test_norms_of_unequal_parts_are_one_norm_of_all_faces(case: str, within: float, of_two: Path) -> None:
    for part in found(of_two):
        assert max(part["norms"][case]) < within, part["norms"][case]


def test_norms_in_bfloat16_differ_by_its_rounding(of_two: Path) -> None:
    for part in found(of_two):
        output, *_, mean, variance, count = part["norms"]["bf16"]
        assert output < 0.05
        assert max(mean, variance) < 1e-3
        assert count == 0
