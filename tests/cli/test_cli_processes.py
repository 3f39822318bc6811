"""Commands as processes of their own: signals, and several devices."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_runs import train_arguments

from visagist.checkpoints.checkpoint import read_description


@pytest.mark.slow
def test_an_interrupt_saves_and_ends_with_130(tmp_path: Path) -> None:
    arguments = train_arguments(tmp_path / "run", images=10**7)
    process = subprocess.Popen([sys.executable, "-m", "visagist", *arguments], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while not (tmp_path / "run" / "last").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "continue with --resume" in said
    assert read_description(tmp_path / "run" / "last")["training"]["step"] >= 1


@pytest.mark.slow
def test_two_processes_share_a_batch(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "visagist", *train_arguments(tmp_path / "run"), "--devices", "2"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert read_description(tmp_path / "run" / "last")["training"]["images"] == 16
