"""Killed, out of space, on a failing disk or clock: the same command again comes to the end that an undisturbed run has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from campaigns import CAMPAIGNS

ROOT = Path(__file__).parents[2]
KILLS, FAULTS = (60, 8) if CAMPAIGNS else (10, 2)
KINDS = {"kill", "kill-at-call", "term", "io-error", "no-space", "slow-disk", "clock", "full-disk", "read-only"}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cases are forked children under Linux's limits")


def faults(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "faults.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=ROOT)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_disturbed_command_given_again_ends_as_one_that_was_not() -> None:
    done = faults("--kills", KILLS, "--faults", FAULTS)
    told: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    assert done.returncode == 0, done.stderr
    assert all(told["skipped"].values())
    for job in ("train", "bulk"):
        rows = {row["kind"]: row for row in told["rows"] if row["job"] == job}
        assert rows.keys() | told["skipped"].keys() == KINDS
        for kind, row in rows.items():
            assert row["wrong"] == [], kind
            assert row["cases"] >= FAULTS, kind
        assert any("SIGKILL" in end for end in rows["kill"]["ends"])
        if "kill-at-call" in rows:
            assert set(rows["kill-at-call"]["ends"]) == {"killed by SIGKILL"}
            assert "refused" in rows["io-error"]["ends"]


def test_a_fault_that_is_not_there_is_refused_with_those_that_are() -> None:
    done = faults("--only", "flood")
    assert done.returncode == 2
    assert "no-space" in done.stderr
