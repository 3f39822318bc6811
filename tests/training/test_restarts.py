"""A process that is killed ends the others, and torchrun's next attempt goes on from the last checkpoint."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from campaigns import campaign
from cli_runs import train_arguments
from safetensors.torch import load_file
from tiny_run import train

from visagist.checkpoints.checkpoint import read_description

SCRIPT = Path(__file__).parents[1] / "support" / "tiny_run.py"


@pytest.mark.slow
@pytest.mark.timeout(600)
@campaign
@pytest.mark.parametrize("rank", [0, 1])
def test_a_job_whose_process_is_killed_ends_with_exactly_its_images(rank: int, tmp_path: Path) -> None:
    run, killed = tmp_path / "run", tmp_path / "killed"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "3"]
    command += [str(SCRIPT), str(run), "--model", "noiseless", "--resume", "--killed", str(rank), "7", str(killed)]
    done = subprocess.run(
        [*command, "--set", "checkpoint_seconds=0"],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert killed.exists()
    training = json.loads((run / "last/config.json").read_text())["training"]
    assert (training["images"], training["step"], training["finished"]) == (96, 12, True)
    train(tmp_path / "one", "noiseless")
    for name, value in load_file(tmp_path / "one/last/model.safetensors").items():
        torch.testing.assert_close(load_file(run / "last/model.safetensors")[name], value, rtol=1e-5, atol=1e-5)


def workers(parent: int) -> dict[str, int]:
    """The processes below `parent` that torchrun gave a rank, by it."""
    found = {}
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        found |= workers(int(child))
        told = dict(pair.partition("=")[::2] for pair in Path(f"/proc/{child}/environ").read_text().split("\0"))
        if "RANK" in told:
            found[told["RANK"]] = int(child)
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="needs Linux's list of children")
def test_a_command_that_may_restart_survives_the_kill_of_a_process(tmp_path: Path) -> None:
    run, images = tmp_path / "run", 8 * 60
    arguments = [*train_arguments(run, images=images), "--no-calibrate", "--devices", "2", "--max-restarts", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "visagist", *arguments, "--set", "checkpoint_seconds=0.5"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 240
        while not (run / "last").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(workers(process.pid)["1"], signal.SIGKILL)
        _, said = process.communicate(timeout=300)
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert f"{run}: continues at" in said
    training = read_description(run / "last")["training"]
    assert training["images"] == images
    assert training["finished"]
