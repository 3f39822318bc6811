"""Shards of photographs edited: what is carried over, what becomes of bad pictures, and what is there after each end."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from bulk_runs import BROKEN, NOBODY, PNG, edited, run
from edited_toys import Painter, PainterConfig, painter, tiny_method
from portraits import portrait_photo
from shards import accounts, decoded, encoded, face, face_shards, read_tar, write_parquet, write_tar
from torch import Tensor

from visagist.bulk import job
from visagist.bulk.editing import BulkConfig
from visagist.bulk.following import status_of
from visagist.bulk.ledger import Ledger
from visagist.bulk.shards import KINDS, find_shards
from visagist.bulk.store import LocalStore
from visagist.bulk.summary import settings_of
from visagist.bulk.written import WrittenNames
from visagist.editing.editor import Editor
from visagist.editing.request import EditRequest
from visagist.errors import VisagistError


def test_a_tar_file_keeps_keys_order_and_other_members_and_its_pictures_say_that_they_are_edited(tmp_path: Path) -> None:
    members = [
        ("README", b"a"),
        ("d/0.txt", b"zero"),
        ("d/0.png", PNG),
        ("d/0.seg.npy", b"\0\1"),
        ("1.png", PNG),
        ("__x__", b""),
    ]
    summary = run(write_tar(tmp_path / "in" / "a.tar", members), tmp_path / "out")
    made = read_tar(tmp_path / "out" / "a.tar")
    expected = ["README", "d/0.txt", "d/0.png", "d/0.seg.npy", "d/0.edit.json", "1.png", "1.edit.json", "__x__"]
    assert [name for name, _ in made] == expected
    carried = {name: data for name, data in members if not name.endswith(".png")}
    assert {name: data for name, data in made if name in carried} == carried
    assert all(edited(data) for name, data in made if name.endswith(".png"))
    told = accounts(tmp_path / "out" / "a.tar")["d/0"]
    assert (told["outcome"], told["set"], told["faces"]) == ("edited", {"Smiling": 1.0}, 1)
    assert summary["pictures"] == {"all": 2, "edited": 2, "no face": 0, "unreadable": 0, "failed": 0}


def test_a_photograph_in_a_shard_is_byte_for_byte_what_editing_it_alone_gives(tmp_path: Path) -> None:
    editor = Editor.from_pretrained("ifcvae-gan-smiling-64", "cpu")
    photo, _ = portrait_photo()
    picture = encoded(photo)
    (tmp_path / "me.png").write_bytes(picture)
    alone = editor.edit_photo(tmp_path / "me.png", Smiling=-1).save(tmp_path / "alone.png").read_bytes()
    shard = write_tar(tmp_path / "in.tar", [("0.png", PNG), ("me.png", picture)])
    run(shard, tmp_path / "out", editor, strengths={"Smiling": -1.0})
    assert dict(read_tar(tmp_path / "out" / "in.tar"))["me.png"] == alone
    told = accounts(tmp_path / "out" / "in.tar")["me"]
    assert (told["faces"], told["by"], len(told["before"]["Smiling"]), len(told["after"]["Smiling"])) == (
        1,
        "judge-64-b",
        1,
        1,
    )


def test_aligned_faces_pass_together_and_differ_from_one_alone_by_rounding_at_most(tmp_path: Path) -> None:
    editor = Editor(tiny_method(), name="tiny")
    (shard,) = face_shards(tmp_path / "in", 1, 9)
    run(shard, tmp_path / "out", editor, batch=4)
    pictures = [decoded(data) for name, data in read_tar(tmp_path / "out" / shard.name) if name.endswith(".png")]
    alone = [editor.edit(face(number), Smiling=1.0) for number in range(9)]
    assert np.abs(np.stack(pictures).astype(int) - np.stack(alone)).max() <= 1
    assert np.stack(pictures).std(0).max() > 1


def test_what_cannot_be_edited_goes_on_unchanged_with_the_reason_or_is_left_out(tmp_path: Path) -> None:
    members = [("0.png", NOBODY), ("0.txt", b"x"), ("1.jpg", BROKEN), ("2.png", PNG), ("3.txt", b"alone")]
    shard = write_tar(tmp_path / "in.tar", members)
    kept = run(shard, tmp_path / "kept")
    made, told = dict(read_tar(tmp_path / "kept" / "in.tar")), accounts(tmp_path / "kept" / "in.tar")
    assert (made["0.png"], made["1.jpg"], made["3.txt"]) == (NOBODY, BROKEN, b"alone")
    assert told["0"] == {"outcome": "no face", "reason": "no face"}
    assert told["1"]["reason"].startswith("unreadable: 1.jpg is not a picture")
    assert told["3"]["reason"] == "unreadable: it has no picture"
    assert kept["pictures"] == {"all": 4, "edited": 1, "no face": 1, "unreadable": 2, "failed": 0}
    dropped = run(shard, tmp_path / "dropped", failures="drop")
    assert [name for name, _ in read_tar(tmp_path / "dropped" / "in.tar")] == ["2.png", "2.edit.json"]
    assert dropped["pictures"] == kept["pictures"]


def test_names_in_a_tar_file_lead_nowhere(tmp_path: Path) -> None:
    members = [("../../up.png", PNG), ("/abs/root.png", PNG), ("a/../b.png", PNG)]
    shard = write_tar(tmp_path / "deep" / "in" / "in.tar", members)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    run(shard, tmp_path / "deep" / "tar")
    run(shard, tmp_path / "deep" / "folder", to="folder")
    fresh = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all(
        (tmp_path / "deep" / "tar") in path.parents or (tmp_path / "deep" / "folder") in path.parents for path in fresh
    )
    assert sum(path.suffix == ".png" for path in fresh) == 3
    assert not Path("/abs/root.png").exists()
    assert [name for name, _ in read_tar(tmp_path / "deep" / "tar" / "in.tar")][::2] == [name for name, _ in members]


def test_a_second_account_does_not_take_the_place_of_the_first(tmp_path: Path) -> None:
    run(write_tar(tmp_path / "a.tar", [("0.png", PNG)]), tmp_path / "once")
    run(tmp_path / "once" / "a.tar", tmp_path / "twice")
    names = [name for name, _ in read_tar(tmp_path / "twice" / "a.tar")]
    assert names == ["0.png", "0.edit.json", "0.edit2.json"]
    run(write_parquet(tmp_path / "a.parquet", [{"bytes": PNG, "path": "0.png"}]), tmp_path / "row")
    run(tmp_path / "row" / "a.parquet", tmp_path / "rows")
    assert pq.read_schema(tmp_path / "rows" / "a.parquet").names == ["id", "image", "words", "edit", "edit2"]


def sources(folder: Path) -> dict[str, Path]:
    """Two pictures with a text or numbers beside them, in each kind of shard."""
    (folder / "photos" / "sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.x.png"):
        (folder / "photos" / name).write_bytes(PNG)
    return {
        "webdataset": write_tar(folder / "a.tar", [("0.png", PNG), ("0.txt", b"t"), ("1.png", PNG), ("1.cls", b"7")]),
        "parquet": write_parquet(folder / "a.parquet", [{"bytes": PNG, "path": f"{i}.png"} for i in range(2)]),
        "folder": folder / "photos",
    }


def pictures_in(out: Path, kind: str) -> list[bytes]:
    if kind == "folder":
        return [path.read_bytes() for path in sorted(out.rglob("*.png"))]
    if kind == "parquet":
        return [cell["bytes"] for path in sorted(out.glob("*.parquet")) for cell in pq.read_table(path)["image"].to_pylist()]
    return [data for path in sorted(out.glob("*.tar")) for name, data in read_tar(path) if name.endswith(".png")]


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_shard_becomes_every_kind(kind: str, to: str, tmp_path: Path) -> None:
    summary = run(sources(tmp_path / "in")[kind], tmp_path / "out", to=to)
    made = pictures_in(tmp_path / "out", to)
    assert len(made) == summary["pictures"]["edited"] == 2
    assert all(edited(data) for data in made)
    beside = {
        ("webdataset", "parquet"): lambda: pq.read_table(tmp_path / "out" / "a.parquet")["txt"].to_pylist() == [b"t", None],
        ("webdataset", "folder"): lambda: (tmp_path / "out" / "a" / "1.cls").read_bytes() == b"7",
        ("parquet", "webdataset"): lambda: json.loads(
            dict(read_tar(tmp_path / "out" / "a.tar"))["a-1.columns.json"]) == {"id": 1, "words": ["1"]},
        ("folder", "webdataset"): lambda: {n for n, _ in read_tar(tmp_path / "out" / "photos-000000.tar")} == {
            "a.png", "a.edit.json", "sub/b_x.png", "sub/b_x.edit.json"},
        ("folder", "folder"): lambda: (tmp_path / "out" / "sub" / "b.x.png").is_file(),
    }  # fmt: skip
    assert beside.get((kind, to), lambda: True)()


def test_a_limit_takes_the_first_pictures_of_the_first_shards(tmp_path: Path) -> None:
    face_shards(tmp_path / "in", 3, 4)
    summary = run(tmp_path / "in", tmp_path / "out", limit=6)
    assert (summary["shards"]["all"], summary["pictures"]["all"]) == (2, 6)
    assert list(accounts(tmp_path / "out" / "faces-000001.tar")) == ["01-0000", "01-0001"]


class Faulty(Painter):
    """A painter that stumbles over black pictures, as a fault in a method would."""

    def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        if len(images) and float(images.amax((1, 2, 3)).min()) == 0:
            raise RuntimeError("black paint")
        return super().edit(images, target, amount)


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_a_fault_in_one_shard_is_told_of_and_two_in_a_row_end_the_work(kind: str, tmp_path: Path) -> None:
    black = encoded(np.zeros((16, 16, 3), np.uint8))
    for name, picture in (("a", black), ("b", PNG), ("c", black), ("d", black)):
        if kind == "parquet":
            write_parquet(tmp_path / "in" / f"{name}.parquet", [{"bytes": picture, "path": None}] * 120)
        else:
            write_tar(tmp_path / "in" / f"{name}.tar", [("0.png", PNG), ("1.png", picture)])
    editor = Editor(Faulty(PainterConfig(), ("Smiling",), 16), name="faulty")
    with pytest.raises(RuntimeError, match="black paint"):
        run(tmp_path / "in", tmp_path / "out", editor)
    told = {p.stem: json.loads(p.read_text())["reason"] for p in (tmp_path / "out" / ".bulk" / "failed").glob("*.json")}
    assert sorted(told) == ["a", "c", "d"]
    assert "RuntimeError: black paint" in told["a"]
    assert [path.stem for path in (tmp_path / "out").iterdir() if path.is_file()] == ["b"]


def test_a_finished_shard_is_left_and_a_changed_one_done_anew(tmp_path: Path) -> None:
    face_shards(tmp_path / "in", 2, 2)
    run(tmp_path / "in", tmp_path / "out")
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tar")}
    write_tar(tmp_path / "in" / "faces-000001.tar", [("new.png", PNG)])
    with contextlib.suppress(KeyboardInterrupt), LocalStore(tmp_path / "out").writing("faces-000001.tar") as left:
        killed = Path(left.file.name)
        raise KeyboardInterrupt
    killed.write_bytes(b"left by a process that was killed")
    summary = run(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out" / "faces-000000.tar").stat().st_mtime_ns == times["faces-000000.tar"]
    assert list(accounts(tmp_path / "out" / "faces-000001.tar")) == ["new"]
    assert summary["pictures"]["all"] == 3
    assert not list((tmp_path / "out").rglob("*.writing"))
    for part in ("faces-000000.tar", ".bulk/done/faces-000000.json"):
        (tmp_path / "out" / part).unlink()
        assert run(tmp_path / "in", tmp_path / "out")["shards"]["finished"] == 2
        assert len(accounts(tmp_path / "out" / "faces-000000.tar")) == 2


def test_other_settings_and_strange_files_are_refused(tmp_path: Path) -> None:
    (shard,) = face_shards(tmp_path / "in", 1, 1)
    run(shard, tmp_path / "out")
    with pytest.raises(VisagistError, match=r"begun with other settings \(attributes was \{'Smiling': 1\.0\}"):
        run(shard, tmp_path / "out", strengths={"Smiling": 0.5})
    fitted = painter()
    fitted.use_strength({"Smiling": {}, "Eyeglasses": {}})
    with pytest.raises(VisagistError, match="strength_sha256"):
        run(shard, tmp_path / "out", fitted)
    with pytest.raises(VisagistError, match="is to be edited, lies in --out"):
        run(shard, tmp_path / "in")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / shard.name).write_bytes(b"mine")
    with pytest.raises(VisagistError, match="there already and not of an earlier run"):
        run(shard, tmp_path / "other")


def test_an_attempt_that_was_taken_for_dead_spoils_nothing_of_the_one_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "REPORT_SECONDS", 0.0)
    (shard,) = find_shards([str(path) for path in face_shards(tmp_path / "in", 1, 9)])
    config, ledger = BulkConfig(EditRequest({"Smiling": 1.0}), "webdataset", batch=2), Ledger(tmp_path / "out", "webdataset")
    ledger.open(settings_of(painter(), config), [shard])
    others = list[job.Attempt]()

    def begin_another(name: str, pictures: int) -> None:
        if not others:
            others.append(job.attempt(painter(), shard, config, ledger, lambda name, pictures: None))

    first = job.attempt(painter(), shard, config, ledger, begin_another)
    assert [first.end, others[0].end] == [job.End.INTERRUPTED, job.End.FINISHED]
    assert ledger.account(shard) == others[0].account
    assert len(accounts(tmp_path / "out" / "faces-000000.tar")) == 9
    again = job.attempt(painter(), shard, config, ledger, lambda name, pictures: None)
    assert again == others[0]


def ledger_file(out: Path, part: str) -> Path:
    return next((out / ".bulk" / part).glob("*.json"))


@pytest.mark.parametrize("to", ["webdataset", "folder"])
def test_a_bit_flipped_output_is_made_anew(to: str, tmp_path: Path) -> None:
    (shard,) = face_shards(tmp_path / "in", 1, 2)
    run(shard, tmp_path / "out", to=to)
    whole = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*") if path.suffix in (".png", ".tar")}
    for path, data in whole.items():
        path.write_bytes(data[:-700] + bytes([data[-700] ^ 1]) + data[-699:])
        run(shard, tmp_path / "out", to=to)
        assert path.read_bytes() != data[:-700] + bytes([data[-700] ^ 1]) + data[-699:]
    times = {path: path.stat().st_mtime_ns for path in whole}
    run(shard, tmp_path / "out", to=to)
    assert times == {path: path.stat().st_mtime_ns for path in whole}


DAMAGED = [b"", b"{", b"[]", b"\xff", b"{}", b'{"pictures": "many"}', b'{"x": NaN}', b"[" * 100_000, b"flip"]


@pytest.mark.parametrize("harm", DAMAGED)
@pytest.mark.parametrize("part", ["done", "failed", "now", "plans"])
def test_a_damaged_account_is_no_account(part: str, harm: bytes, tmp_path: Path) -> None:
    (shard,) = face_shards(tmp_path / "in", 1, 2)
    run(shard, tmp_path / "out")
    place = tmp_path / "out" / ".bulk" / part / ledger_file(tmp_path / "out", "done").name
    place.parent.mkdir(exist_ok=True)
    flipped = ledger_file(tmp_path / "out", "done").read_bytes().replace(b'"pictures": 2', b'"pictures": 3')
    place.write_bytes(flipped if harm == b"flip" else harm)
    assert status_of(Ledger(tmp_path / "out", "webdataset"))["running"] == []
    summary = run(shard, tmp_path / "out")
    assert (summary["pictures"]["all"], summary["shards"]["finished"]) == (2, 1)


def test_an_account_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    (shard,) = face_shards(tmp_path / "in", 1, 2)
    run(shard, tmp_path / "out")
    place = ledger_file(tmp_path / "out", "done")
    account = json.loads(place.read_bytes())
    new = ("checksum", "output_sha256", "settings")
    place.write_text(json.dumps({name: value for name, value in account.items() if name not in new}))
    before = (tmp_path / "out" / shard.name).stat().st_mtime_ns
    assert run(shard, tmp_path / "out")["pictures"]["all"] == 2
    assert (tmp_path / "out" / shard.name).stat().st_mtime_ns == before


def test_damaged_settings_are_written_anew_where_the_results_vouch_for_them(tmp_path: Path) -> None:
    (shard,) = face_shards(tmp_path / "in", 1, 2)
    run(shard, tmp_path / "out")
    settings = tmp_path / "out" / ".bulk" / "settings.json"
    whole = settings.read_bytes()
    settings.write_bytes(whole[:20])
    with pytest.raises(VisagistError, match=r"settings\.json is damaged.*or delete .*out to begin anew"):
        run(shard, tmp_path / "out", strengths={"Smiling": 0.5})
    run(shard, tmp_path / "out")
    assert settings.read_bytes() == whole
    settings.write_bytes(b"")
    shutil.rmtree(tmp_path / "out")  # as the message says
    run(shard, tmp_path / "out", strengths={"Smiling": 0.5})


@pytest.mark.parametrize("part", ["done/faces-000000.json", "failed/faces-000000.json"])
def test_what_a_message_says_to_delete_is_the_way_out(part: str, tmp_path: Path) -> None:
    (shard,) = face_shards(tmp_path / "in", 1, 1)
    run(shard, tmp_path / "out")
    place = tmp_path / "out" / ".bulk" / part
    (tmp_path / "out" / ".bulk" / "done" / "faces-000000.json").unlink()
    place.unlink(missing_ok=True)
    place.mkdir(parents=True)
    with pytest.raises(VisagistError, match="delete") as refused:
        run(shard, tmp_path / "out")
    assert str(place) in str(refused.value)
    place.rmdir()
    assert run(shard, tmp_path / "out")["shards"]["finished"] == 1


def test_a_shard_whose_name_is_long_in_hexadecimal_is_finished(tmp_path: Path) -> None:
    shard = write_tar(tmp_path / "in" / ("лицо" * 25 + ".tar"), [("a.png", PNG)])
    for _ in range(2):
        assert run(shard, tmp_path / "out")["shards"]["finished"] == 1


@pytest.mark.parametrize("line", [b"[1]", b'{"file": 3}', b"\xff", b"[" * 100_000])
def test_a_damaged_list_of_what_was_done_is_left_out(line: bytes, tmp_path: Path) -> None:
    (shard,) = face_shards(tmp_path / "in", 1, 2)
    run(shard, tmp_path / "out", to="folder")
    for path in (tmp_path / "out").glob("*.edits.jsonl"):
        path.write_bytes(line + b"\n")
    ledger_file(tmp_path / "out", "done").with_name("x.json").write_text('{"shard": "../other"}')
    (tmp_path / "out" / "mine.png").write_text("somebody's own")
    with pytest.raises(VisagistError, match="did not write it"):
        WrittenNames(tmp_path / "out", "other").take(tmp_path / "out" / "mine.png")
