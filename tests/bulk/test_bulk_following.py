"""How far a job is, what failed is begun anew, and what arrives is edited."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bulk_runs import BROKEN, PNG, edited
from cli_runs import Command
from edited_toys import painter
from shards import accounts, encoded, face, face_shards, write_tar

from visagist.bulk import watching
from visagist.bulk.editing import BulkConfig
from visagist.bulk.job import ThisProcess, edit_shards
from visagist.bulk.ledger import Ledger
from visagist.bulk.summary import settings_of
from visagist.bulk.watching import Inbox, watch
from visagist.editing.request import EditRequest
from visagist.errors import VisagistError
from visagist.progress import Progress

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def words(model_folder: Path, tmp_path: Path) -> Callable[..., list[object]]:
    def given(*more: object) -> list[object]:
        edit = ["--set", "Smiling=1", "--aligned", "--model", model_folder, "--device", "cpu", "--out", tmp_path / "out"]
        return ["bulk", tmp_path / "in", *edit, *more]

    return given


def test_the_status_says_from_the_results_alone_what_is_finished_and_what_failed(
    command: Command, words: Callable[..., list[object]], tmp_path: Path
) -> None:
    face_shards(tmp_path / "in", 2, 3)
    write_tar(tmp_path / "in" / "mixed.tar", [("0.png", PNG), ("1.png", BROKEN)])
    (tmp_path / "in" / "torn.tar").write_bytes(b"\xff" * 2000)
    assert "holds no results of a bulk job" in command("bulk", "--status", tmp_path / "out").error
    assert command(*words()).status == 4
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    done = command("bulk", "--status", tmp_path / "out")
    assert done.status == 4
    assert done.out.splitlines()[0] == "3 of 4 shards, 8 pictures: 7 edited, 1 unreadable"
    assert "! torn: cannot read" in done.out
    assert "! mixed: 1: unreadable: " in done.out
    assert "! mixed: pictures failed or could not be read; --retry-failed begins it anew" in done.out
    (tmp_path / "out" / ".bulk" / "done" / "faces-000001.json").unlink()  # as if it were under way
    status = json.loads(command("bulk", "--status", tmp_path / "out", "--json").out)
    assert (status["shards"], status["running"]) == ({"all": 4, "finished": 2, "left": 1}, [])
    assert "nobody is at work, and 1 shards are left" in command("bulk", "--status", tmp_path / "out").out


def test_shards_with_failed_pictures_are_begun_anew_where_that_is_asked_for(
    command: Command, words: Callable[..., list[object]], tmp_path: Path
) -> None:
    face_shards(tmp_path / "in", 1, 2)
    write_tar(tmp_path / "in" / "mixed.tar", [("0.png", PNG), ("1.png", BROKEN)])
    assert command(*words()).status == 4

    def times() -> dict[str, int]:
        return {path.stem: path.stat().st_mtime_ns for path in (tmp_path / "out" / ".bulk" / "done").glob("*.json")}

    before = times()
    assert command(*words()).status == 4
    assert times() == before
    assert command(*words("--retry-failed")).status == 4
    after = times()
    assert (after["faces-000000"], after["mixed"] > before["mixed"]) == (before["faces-000000"], True)


def watched(folder: Path, out: Path, looks: Callable[[], Iterator[None]], size: int = 10) -> None:
    """Look into a folder as often as `looks` steps, which puts files there or takes them away."""
    config, ledger = BulkConfig(EditRequest({"Smiling": 1.0}), "folder"), Ledger(out, "folder")
    if any(folder.glob("*.tar")):
        config, ledger = BulkConfig(EditRequest({"Smiling": 1.0}), "webdataset"), Ledger(out, "webdataset")
    editor = painter()
    ledger.open(settings_of(editor, config), [])
    engine, steps = ThisProcess(editor, config, ledger), looks()
    watch(Inbox(str(folder), None, size, out), ledger, lambda shards: edit_shards(engine, shards, ledger, Progress()), 0.0,
          lambda: next(steps, "over") == "over")  # fmt: skip


def test_pictures_are_edited_as_they_arrive_each_once_also_by_a_later_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SETTLED_SECONDS", 0.0)
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    inbox.mkdir()

    def first() -> Iterator[None]:
        for names in (("b.png", "c.png"), (), (), ("a.png",), (), ()):
            for name in names:
                (inbox / name).write_bytes(encoded(face(ord(name[0]))))
            yield

    watched(inbox, out, first)
    lists = {path.name: [json.loads(line)["file"] for line in path.read_text().splitlines()] for path in out.glob("*.jsonl")}
    assert lists == {"arrived-000000.edits.jsonl": ["b.png", "c.png"], "arrived-000001.edits.jsonl": ["a.png"]}
    assert all(edited((out / f"{name}.png").read_bytes()) for name in "abc")
    times = {path.name: path.stat().st_mtime_ns for path in out.iterdir() if path.is_file()}

    def later() -> Iterator[None]:
        (inbox / "b.png").unlink()  # taken away: its result stays
        yield
        (inbox / "sub").mkdir()
        (inbox / "sub" / "d.png").write_bytes(encoded(face(9)))
        yield
        yield
        yield

    watched(inbox, out, later)
    assert {name: (out / name).stat().st_mtime_ns for name in times} == times
    assert json.loads((out / "arrived-000002.edits.jsonl").read_text())["file"] == "sub/d.png"


def test_a_file_that_is_still_written_waits_and_a_shard_that_changes_is_edited_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SETTLED_SECONDS", 0.0)
    inbox, out = tmp_path / "inbox", tmp_path / "out"
    (whole,) = face_shards(inbox, 1, 3)
    data = whole.read_bytes()
    there = list[bool]()

    def looks() -> Iterator[None]:
        for size in (1024, 4096, len(data)):
            whole.write_bytes(data[:size])
            yield
            there.append((out / whole.name).exists())
        yield
        write_tar(whole, [("new.png", PNG)])
        yield
        yield

    watched(inbox, out, looks)
    assert there == [False] * 3
    assert list(accounts(out / whole.name)) == ["new"]
    with pytest.raises(VisagistError, match="is no folder: make it"):
        Inbox(str(tmp_path / "none"), None, 10, out)
