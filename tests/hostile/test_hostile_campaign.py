"""Hostile input is taken or refused in one line: some hundreds of cases, and that the campaign sees what goes wrong."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
from campaigns import CAMPAIGNS

ROOT = Path(__file__).parents[2]
CASES = 14 if CAMPAIGNS else 6
HELD = (
    "photo", "png", "jpeg", "gif", "tiff", "xmp", "csv", "parquet", "bulk-parquet", "tar", "config", "inspect-config",
    "safetensors", "training-state", "pack", "ledger", "report", "film", "outputs", "table", "options",
)  # fmt: skip

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="cases are forked children under Linux's limits")


def campaign(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "hostile"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=ROOT)


def in_campaign(code: str) -> subprocess.CompletedProcess[str]:
    """Code in a process of its own that may fork: the process of the tests has threads."""
    begin = f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r})\nfrom hostile import forks, trees\n"
    return subprocess.run([sys.executable, "-c", begin + code], capture_output=True, text=True, cwd=ROOT)


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`hostile("damage")` is a module of benchmarks/hostile that knows nothing of visagist."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return lambda name: importlib.import_module(f"hostile.{name}")


@pytest.mark.slow
def test_hundreds_of_hostile_files_are_taken_or_refused_in_one_line(tmp_path: Path) -> None:
    done = campaign("--grammar", *HELD, "--cases", CASES, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert sum(row["cases"] for row in told["grammars"]) == CASES * len(HELD)
    assert told["findings"] == []
    assert list(tmp_path.iterdir()) == []
    for row in told["grammars"]:
        assert row["ok"] + row["refused"] == row["cases"], row
        assert row["refused"] or row["grammar"] == "xmp" or not CAMPAIGNS, row
    assert sum(row["refused"] for row in told["grammars"]) > len(HELD)


def test_a_grammar_that_is_not_there_is_refused_with_those_that_are() -> None:
    done = campaign("--grammar", "pdf")
    assert done.returncode == 2
    assert "safetensors" in done.stderr


ENDS = """
import os, signal, time
def hang(_):
    while True: pass
def fill(_): return len(b"x" * (3 << 30))
def print_trace(_):
    print("Traceback (most recent call last)"); raise SystemExit(2)
def refuse(_):
    print("error: no"); raise SystemExit(2)
limits = forks.Limits(seconds=1, wall_seconds=6, megabytes=256, file_megabytes=1)
works = [hang, fill, print_trace, refuse, lambda _: 1 / 0, lambda _: os.kill(os.getpid(), 11), lambda _: time.sleep(60),
         lambda _: os.system("true"), lambda _: 5, lambda _: open(os.devnull + "/x")]
for work in works:
    ended = forks.run_forked(work, limits, refusals=(NotADirectoryError,))
    print(ended.verdict, bool(ended.events), ended.facts)
"""


def test_the_end_of_a_case_is_told_for_what_it_is() -> None:
    done = in_campaign(ENDS)
    assert done.stdout.splitlines() == [
        "hang False None",
        "memory False None",
        "crash False None",
        "refused False None",
        "crash False None",
        "crash False None",
        "hang False None",
        "ok True 0",
        "ok False 5",
        "refused False None",
    ], done.stderr


STRUCK = """
import signal, time
limits = forks.Limits()
ended = forks.run_forked(lambda _: time.sleep(60), limits, strike=(0.05, signal.SIGKILL))
print(ended.status, ended.verdict)
"""


def test_a_child_is_struck_by_a_signal_in_the_middle_of_its_work() -> None:
    done = in_campaign(STRUCK)
    assert done.stdout.split() == [str(-signal.SIGKILL), "crash"], done.stderr


def test_a_tree_tells_what_was_lost_changed_and_added(hostile: Any, tmp_path: Path) -> None:
    trees = hostile("trees")
    for name in ("kept", "lost", "changed"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("kept")
    os.mkfifo(tmp_path / "pipe")
    before = trees.describe_tree(tmp_path)
    (tmp_path / "lost").unlink()
    (tmp_path / "changed").write_text("otherwise")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("changed")
    (tmp_path / "out").mkdir()
    changes = trees.list_changes(before, trees.describe_tree(tmp_path))
    assert sorted(changes) == ["changed was changed", "link was changed", "lost is gone", "out appeared"]
    assert trees.describe_tree(tmp_path, frozenset({"out"})).keys() == {"kept", "changed", "link", "pipe"}


def test_a_file_that_is_read_shows_it(hostile: Any, tmp_path: Path) -> None:
    trees = hostile("trees")
    for name in ("read", "unread"):
        (tmp_path / name).write_text(name)
    trees.mark_unread(tmp_path)
    assert trees.list_read(tmp_path) == []
    (tmp_path / "read").read_text()
    if not trees.list_read(tmp_path):
        pytest.skip("this file system keeps no access times")
    assert trees.list_read(tmp_path) == ["read"]


def test_damage_is_a_function_of_its_number(hostile: Any) -> None:
    damage = hostile("damage")
    value = {"config": {"width": 4, "layers": [1, 2]}, "attributes": ["Smiling"], "image_size": 16}
    made = [damage.damage_json(Random(number), value) for number in range(200)]
    assert made == [damage.damage_json(Random(number), value) for number in range(200)]
    assert len(set(made)) > 150
    data = bytes(range(256))
    cut = [damage.damage_bytes(Random(number), data) for number in range(200)]
    assert sum(one != data for one in cut) > 190
    assert value["config"]["layers"] == [1, 2]
