"""`visagist bulk` as a command: killed and taken up again, by several processes, and how it ends."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import Command
from portraits import photograph, portrait_photo
from shards import accounts, encoded, face, face_shards, read_tar, write_tar
from tiny_models import tiny_model
from tiny_zoo import saved

from visagist import methods

pytestmark = pytest.mark.usefixtures("own_cache")
SMILE = ("--set", "Smiling=1")
SECONDS = 240


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A model folder of a few hundred weights for faces of 16 pixels."""
    return saved(tmp_path / "tiny", tiny_model(methods.get("ifcvae-gan")).eval())


@pytest.fixture
def arguments(tiny: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The words of a run over `tmp_path/in`, whose faces pass the network a few at a time."""

    def words(out: Path, *more: object) -> list[str]:
        given = ["bulk", tmp_path / "in", *SMILE, "--model", tiny, "--device", "cpu", "--batch", 2, "--out", out, *more]
        return [str(word) for word in given]

    return words


def started(words: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "visagist", *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not reached():
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.01)


def output(folder: Path) -> dict[str, bytes]:
    """The shards of results, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def keys(folder: Path) -> list[str]:
    """The key of each picture in each shard of results."""
    pictures = (name for path in sorted(folder.glob("*.tar")) for name, _ in read_tar(path) if name.endswith(".png"))
    return [name.removesuffix(".png") for name in pictures]


@pytest.mark.slow
def test_a_run_that_is_killed_and_taken_up_again_gives_the_same_bytes_and_each_key_once(
    command: Command, arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    face_shards(tmp_path / "in", 4, 150)
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert command(*arguments(whole)).status == 0
    process = started(arguments(out))
    first_account = out / ".bulk" / "done" / "faces-000000.json"
    # Of a later shard: the account's own is for an instant beside it, and is left there for a day where the kill meets it.
    later = [hashlib.sha256(f"faces-{number:06d}.tar".encode()).hexdigest()[:16] for number in range(1, 4)]
    until(lambda: first_account.exists() and any(path.name[:16] in later for path in out.rglob("*.writing")))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 0 < len(output(out)) < 4, "it was killed too early or too late"
    assert list(out.rglob("*.writing"))
    first = (out / "faces-000000.tar").stat().st_mtime_ns
    done = command(*arguments(out), "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["pictures"]["edited"] == 600
    assert output(out) == output(whole)
    assert keys(out) == [f"{shard:02d}-{number:04d}" for shard in range(4) for number in range(150)]
    assert (out / "faces-000000.tar").stat().st_mtime_ns == first
    assert not list(out.rglob("*.writing"))


@pytest.mark.slow
def test_a_process_that_is_killed_is_replaced_and_its_shard_begun_anew(
    command: Command, arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    face_shards(tmp_path / "in", 6, 160)
    out, whole = tmp_path / "out", tmp_path / "whole"
    assert command(*arguments(whole)).status == 0
    parent = killed_in_its_pool([sys.executable, "-m", "visagist", *arguments(out, "--devices", 2, "--json")], out)
    printed, said = parent.communicate(timeout=SECONDS)
    assert parent.returncode == 0, said
    assert "the process that edited it ended with -9; it is begun anew" in said
    summary = json.loads(printed)
    assert summary["shards"] == {"all": 6, "finished": 6, "left": 0}
    assert sum(one["pictures"] for one in summary["processes"].values()) == summary["pictures"]["all"] == 960
    assert output(out) == output(whole)
    assert len(keys(out)) == len(set(keys(out))) == 960
    assert not list(out.rglob("*.writing"))


def killed_in_its_pool(words: list[str], out: Path) -> subprocess.Popen[str]:
    """A bulk job of which one process of the pool was killed at its work; begun anew where it was over too soon."""
    for _ in range(5):
        parent = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until(lambda: bool(list(out.rglob("*.writing"))))
        with contextlib.suppress(AssertionError, ProcessLookupError):
            os.kill(child_with_an_editor(parent.pid), signal.SIGKILL)
            return parent
        parent.communicate(timeout=SECONDS)
        shutil.rmtree(out)
    raise AssertionError("the job was over too soon five times")


def child_with_an_editor(parent: int) -> int:
    """A process of the pool: a child that `multiprocessing` spawned."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, ppid = int(status.parent.name), int(status.read_text().rpartition(")")[2].split()[1])
            if ppid == parent and b"spawn_main" in (status.parent / "cmdline").read_bytes():
                return pid
    raise AssertionError("no process of the pool")


def test_torchrun_is_told_that_bulk_starts_its_processes_itself(
    command: Command, arguments: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    face_shards(tmp_path / "in", 1, 1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "in place of torchrun give --devices N or --ray" in command(*arguments(tmp_path / "out")).error


def test_a_folder_of_photographs_is_edited_as_the_command_edit_does(command: Command, tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    photo, _ = portrait_photo()
    (tmp_path / "in" / "sub" / "me.png").write_bytes(encoded(photo))
    (tmp_path / "in" / "nobody.png").write_bytes(encoded(photograph((200, 150))))
    words = (tmp_path / "in" / "sub" / "me.png", "--set", "Smiling=-1", "--out", tmp_path / "alone.png")
    alone = command("edit", *words, "--backend", "torch")
    assert alone.status == 0, alone.err
    done = command("bulk", tmp_path / "in", "--set", "Smiling=-1", "--out", tmp_path / "out")
    assert done.status == 3, done
    assert "model: ifcvae-gan-factored-64" in done.err
    assert (tmp_path / "out" / "sub" / "me.png").read_bytes() == (tmp_path / "alone.png").read_bytes()
    assert (tmp_path / "out" / "nobody.png").read_bytes() == (tmp_path / "in" / "nobody.png").read_bytes()
    told = [json.loads(line) for line in (tmp_path / "out" / "photos-000000.edits.jsonl").read_text().splitlines()]
    assert {one["file"]: one["outcome"] for one in told} == {"nobody.png": "no face", "sub/me.png": "edited"}


def test_the_end_says_what_failed_and_the_summary_what_was_done(
    command: Command, arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    members = [("0.png", encoded(face(0))), ("1.png", b"broken")]
    write_tar(tmp_path / "in" / "a.tar", members)
    plan = command(*arguments(tmp_path / "out", "--dry-run"))
    assert (plan.status, "1 shards (webdataset), 1 of them to do, 2 pictures" in plan.out) == (0, True)
    assert not (tmp_path / "out").exists()
    done = command(*arguments(tmp_path / "out"))
    assert done.status == 4, done
    assert "unreadable" in done.out
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["pictures"] == {"all": 2, "edited": 1, "no face": 0, "unreadable": 1, "failed": 0}
    assert summary["settings"]["weights"]["judge-64-b"]
    assert summary["pictures_per_second_of_a_core"] > 0
    assert list(accounts(tmp_path / "out" / "a.tar")) == ["0", "1"]
    (tmp_path / "in" / "b.tar").write_bytes(b"\xff" * 2000)
    done = command(*arguments(tmp_path / "out", "--json"))
    assert (done.status, json.loads(done.out)["failed_shards"][0]["shard"]) == (4, "b")
    assert "! b: cannot read" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "zip"], "no --to 'zip'"),
        (["--failures", "hide"], "no --failures 'hide'"),
        (["--mode", "sketch"], "no --mode 'sketch'"),
        (["--set", "Bald=1"], "Bald"),
        (["--face", "best"], "--face best"),
        (["--devices", "2:4"], "--devices 2:4 is for --ray"),
        (["--devices", "0"], "--devices 0"),
        (["--ray-cpus", "2"], "are for actors of --ray"),
        (["--out", "https://a/b"], "can only be read"),
        (["--out", "ftp://a/b"], "no storage ftp://"),
        (["--watch", "x"], "leave IN, --limit and --dry-run out"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: list[str], said: str, command: Command, arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    face_shards(tmp_path / "in", 1, 1)
    assert said in command(*arguments(tmp_path / "out", *words)).error
    assert not (tmp_path / "out").exists()


def test_other_settings_for_the_same_folder_are_one_line(
    command: Command, arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    face_shards(tmp_path / "in", 1, 1)
    assert command(*arguments(tmp_path / "out")).status == 0
    assert (
        "begun with other settings (aligned was False and is True)"
        in command(*arguments(tmp_path / "out", "--aligned")).error
    )
    assert "there is no shard or picture" in command("bulk", tmp_path / "no.tar", *SMILE, "--out", tmp_path / "x").error
