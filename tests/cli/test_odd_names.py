"""Names that are no text, too long, forbidden elsewhere, or not of the terminal's encoding stop nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli_runs import ONE_PROCESS, SEPARATOR, Command
from shards import LAYOUT, encoded, face, read_tar, write_tar
from tiny_models import tiny_model
from tiny_zoo import saved

from visagist import methods
from visagist.bulk.names import harmless, harmless_ending
from visagist.bulk.store import FOLDER, LocalStore

pytestmark = [pytest.mark.usefixtures("own_cache"), pytest.mark.skipif(sys.platform != "linux", reason="names are bytes")]
SMILE = ("--set", "Smiling=1", "--device", "cpu")
BROKEN, CYRILLIC = "b\udcff.png", "лицо→.png"
PNG = encoded(face(1))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return saved(tmp_path / "tiny", tiny_model(methods.get("ifcvae-gan")).eval())


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two classes, with names that are no text and of another alphabet."""
    for number, name in enumerate((BROKEN, CYRILLIC, "c.png", "d.png")):
        folder = tmp_path / "data" / ("Smiling" if number % 2 else "not_Smiling")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(face(number)))
    return tmp_path / "data"


def bulk(command: Command, tiny: Path, shard: Path, out: Path, *more: object, status: int = 0) -> dict[str, Any]:
    done = command("bulk", shard, *SMILE, "--model", tiny, "--out", out, "--json", *more)
    assert done.status == status, done.err
    return json.loads(done.out)


KEYS = [
    "k" * 300, "ф" * 200, "a/b", "A/B", "../up", "/root", ".hidden/x", "con", "aux/x", "end /x", "a:b", "tab\tx", "\udcff",
    "/".join(["deep"] * 300), "plain",
]  # fmt: skip


def test_a_bulk_job_ends_with_every_sample_whatever_its_key(command: Command, tiny: Path, tmp_path: Path) -> None:
    contents = {"png": PNG, "txt": b"t"}
    shard = write_tar(tmp_path / "in.tar", [(f"{key}.{end}", data) for key in KEYS for end, data in contents.items()])
    for to in ("folder", "parquet", "webdataset"):
        assert bulk(command, tiny, shard, tmp_path / to, "--to", to)["pictures"]["edited"] == len(KEYS)
    lines = [json.loads(line) for line in (tmp_path / "folder" / "in.edits.jsonl").read_text().splitlines()]
    assert [line["key"] for line in lines] == KEYS
    files = [line["file"] for line in lines]
    assert len({name.casefold() for name in files}) == len(KEYS)
    assert all((tmp_path / "folder" / "in" / name).is_file() for name in files)
    assert files[-1] == "plain.png"
    assert (tmp_path / "folder" / "in" / "plain.txt").read_bytes() == b"t"
    assert not [part for name in files for part in name.split("/") if part.startswith(".") or part.endswith((" ", "."))]
    names = [name for name, _ in read_tar(tmp_path / "webdataset" / "in.tar")]
    assert names[::3] == [f"{key}.png" for key in KEYS]


def test_rows_whose_names_are_no_text_are_edited(command: Command, tiny: Path, tmp_path: Path) -> None:
    broken = pa.array([b"\xff.png", b"b.png"]).view(pa.string())
    cells = pa.StructArray.from_arrays([pa.array([PNG, PNG]), broken], fields=list(LAYOUT))
    pq.write_table(pa.table({"image": cells, "note": broken}), tmp_path / "in.parquet")
    for to in ("parquet", "folder", "webdataset"):
        assert bulk(command, tiny, tmp_path / "in.parquet", tmp_path / to, "--to", to)["pictures"]["edited"] == 2


def test_a_sample_that_no_file_can_be_called_after_is_one_failed_sample(
    command: Command, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / ("n" * 251 + ".bmp")).write_bytes(PNG)  # with .png in the place of .bmp it still fits
    bulk(command, tiny, tmp_path / "in", tmp_path / "out")
    (tmp_path / "in" / "a.png").write_bytes(PNG)
    (tmp_path / "out" / "a.png").mkdir()
    summary = bulk(command, tiny, tmp_path / "in", tmp_path / "out", status=4)
    assert (summary["pictures"]["edited"], summary["pictures"]["failed"]) == (1, 1)


def test_the_longest_name_that_a_file_can_have_is_written(tmp_path: Path) -> None:
    LocalStore(tmp_path).write("n" * 255, b"content")
    assert {path.name for path in tmp_path.iterdir()} == {"n" * 255, FOLDER}


def test_keys_of_plain_letters_are_names_as_they_are() -> None:
    for key in ("00-0001", "a/b_c", "лицо", "faces.parquet#3", "concert", "k" * 180):
        assert harmless(key) == key
    assert harmless_ending("seg.png") == "seg.png"
    assert harmless_ending("x" * 99 + ".png").endswith(".png")


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict", "cp1252:strict"])
def test_names_of_any_alphabet_go_to_terminals_of_any_encoding(
    encoding: str, tiny: Path, pictures: Path, tmp_path: Path
) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": encoding}

    out, folders = tmp_path / "out", (pictures / "not_Smiling", pictures / "Smiling")
    commands = [
        ["edit", tiny, *folders, *SMILE, "--out", out, "--sheet", tmp_path / "s.png"],
        ["edit", tiny, pictures / "Smiling", *SMILE, "--out", tmp_path / "out-2", "--json"],
        ["inspect", out / BROKEN, "--json"],
    ]
    code = [sys.executable, "-c", ONE_PROCESS, json.dumps(commands, default=str)]
    done = subprocess.run(code, env=environment, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert b"Traceback" not in done.stderr
    printed, told, inspected, _ = done.stdout.split(SEPARATOR.encode())
    assert os.fsencode(out / BROKEN) in printed.splitlines()
    assert (out / BROKEN).is_file()
    assert {Path(file["input"]).name for file in json.loads(told)["files"]} == {CYRILLIC, "d.png"}
    assert json.loads(inspected)["file"] == str(out / BROKEN)


def test_data_with_names_that_are_no_text_is_checked_and_packed(command: Command, pictures: Path, tmp_path: Path) -> None:
    (pictures / "Smiling" / "bad\udcfe.png").write_bytes(b"no picture")
    done = command("data", "check", f"folder:{pictures}", "--image-size", "16", "--json")
    assert done.status == 0, done.err
    assert json.loads(done.out)["bad"] == [{"file": "Smiling/bad\udcfe.png", "reason": "not an image"}]
    assert command("data", "check", f"folder:{pictures}", "--image-size", "16").status == 0
    assert command("data", "pack", f"folder:{pictures}", "--image-size", "16", "--out", tmp_path / "pack").status == 0


def test_a_video_whose_name_is_no_text_is_edited(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    from test_interrupts import clip

    from visagist.editing.editor import Editor
    from visagist.editing.video import edit_video
    from visagist.photos.provenance_reading import read_provenance

    clip(tmp_path / "in" / "clip.mp4", 3)
    (tmp_path / "in" / "clip.mp4").rename(tmp_path / "in" / "c\udcff.mp4")
    editor = Editor.from_pretrained("ifcvae-gan-smiling-64", "cpu")
    for name in ("o\udcff.mp4", "o\udcff.mkv"):
        assert edit_video(editor, tmp_path / "in" / "c\udcff.mp4", tmp_path / name, {"Smiling": 1.0}).frames == 3
        assert read_provenance(tmp_path / name).steps
    assert av
