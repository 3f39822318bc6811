"""Two processes with the same global batch are one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import train

SCRIPT = Path(__file__).parents[1] / "support" / "tiny_run.py"


@pytest.fixture(scope="module")
def run_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two gloo processes that torchrun starts, with 4 faces of every batch each."""
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SCRIPT)]
    command += [str(folder / "run"), "--model", "noiseless", "--count-renames", str(folder)]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one(run_of_two: Path, tmp_path: Path) -> None:
    train(tmp_path / "one", "noiseless")
    one = load_file(tmp_path / "one/last/model.safetensors")
    two = load_file(run_of_two / "run/last/model.safetensors")
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-5, atol=1e-5)


def test_the_first_process_alone_writes_every_checkpoint(run_of_two: Path, tmp_path: Path) -> None:
    assert (run_of_two / "renames-0").read_text() == "2", "after the first step and at the end"
    assert (run_of_two / "renames-1").read_text() == "0"
    training = json.loads((run_of_two / "run/last/config.json").read_text())["training"]
    assert training["images"] == 96
    assert training["finished"]


def test_one_process_resumes_what_two_began(run_of_two: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    subprocess.run(["cp", "-r", str(run_of_two / "run"), str(run)], check=True)
    train(run, "noiseless", resume=True, images=128)
    train(tmp_path / "one", "noiseless", images=128)
    one, both = (load_file(folder / "last/model.safetensors") for folder in (tmp_path / "one", run))
    for name in one:
        torch.testing.assert_close(both[name], one[name], rtol=1e-5, atol=1e-5)
