"""What files and their names say is shown on a terminal and never obeyed by it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Command, Result
from PIL import Image
from rich.table import Table
from tiny_models import tiny_model

from visagist import methods
from visagist.boundary.plain_console import PlainConsole
from visagist.boundary.schema import json_text
from visagist.boundary.terminal import escape_controls, escape_json
from visagist.checkpoints import checkpoint
from visagist.photos.encode import write_photo
from visagist.photos.photo import read_photo
from visagist.photos.provenance import Step

pytestmark = pytest.mark.usefixtures("own_cache")
HOSTILE = "a\x1b]0;owned\x07\x1b[31m[red]b\x9b2J\u202egpj"
SHOWN = r"a\x1b]0;owned\x07\x1b[31m[red]b\x9b2J\u202egpj"
FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def assert_harmless(done: Result) -> str:
    """All that was printed, in which no control character is left."""
    for printed in (done.out, done.err):
        assert not FORBIDDEN.search(printed), printed
    return done.out + done.err


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("RGB", (90, 80), (90, 120, 90)).save(folder / f"{HOSTILE}.png")
    (folder / f"{HOSTILE}-broken.png").write_bytes(b"no picture")
    return folder


def test_controls_are_spelled_out_and_all_else_stays() -> None:
    assert escape_controls(HOSTILE) == SHOWN
    assert escape_controls("Zoë → 顔 [red] \\x1b") == "Zoë → 顔 [red] \\x1b"
    assert escape_controls("a\nb\tc\udc80") == r"a\nb\tc\udc80"
    assert escape_controls("a\nb\r", keep_lines=True) == "a\nb\\r"


def test_json_says_the_same_in_characters_that_are_harmless() -> None:
    text = escape_json(json_text({HOSTILE: ["é\n", "\udc80"]}, 1, ensure_ascii=False))
    assert not FORBIDDEN.search(text)
    assert "é" in text
    assert json.loads(text) == {HOSTILE: ["é\n", "\udc80"]}


def test_tables_show_markup_and_controls_as_text() -> None:
    table, file = Table(HOSTILE, title=HOSTILE), io.StringIO()
    table.add_row(HOSTILE)
    PlainConsole(file=file, width=120, force_terminal=False).print(table, f"{HOSTILE} :smile:")
    printed = file.getvalue()
    assert not FORBIDDEN.search(printed)
    assert printed.count(SHOWN) == 4
    assert ":smile:" in printed


def test_names_of_photographs_in_a_batch(command: Command, photos: Path, tmp_path: Path) -> None:
    done = command("edit", photos, "--set", "Smiling=1", "--out", tmp_path / "out")
    assert done.status == 4
    assert done.err.count(SHOWN) >= 2
    assert_harmless(done)
    as_json = command("edit", photos, "--set", "Smiling=1", "--out", tmp_path / "out", "--json")
    assert_harmless(as_json)
    assert any(HOSTILE in file["input"] for file in json.loads(as_json.out)["files"])


def test_an_error_that_names_a_file(command: Command, photos: Path, tmp_path: Path) -> None:
    done = command("edit", photos / f"{HOSTILE}-broken.png", "--set", "Smiling=1", "--out", tmp_path / "out.png")
    assert SHOWN in assert_harmless(done)
    assert SHOWN in assert_harmless(command("edit", tmp_path / f"{HOSTILE}.png", "--set", "Smiling=1", "--out", "x.png"))
    assert "no-such" in assert_harmless(command("edit", f"--no-such{HOSTILE}", "x"))


def test_what_a_picture_says_of_itself(command: Command, tmp_path: Path) -> None:
    out = tmp_path / f"{HOSTILE}.png"
    said = HOSTILE.replace("\x1b", "\x85")  # XML holds no other
    write_photo(read_photo(Image.new("RGB", (16, 16))), out, Step("edited", said, settings=said))
    assert r"\x85[31m[red]b\x9b2J\u202egpj" in assert_harmless(command("inspect", out))
    told = command("inspect", out, "--json")
    assert_harmless(told)
    assert json.loads(told.out)["file"] == str(out)


def test_what_a_model_says_of_itself(command: Command, tmp_path: Path) -> None:
    model, face = tiny_model(methods.get("ifcvae-gan"), ("Smiling",)), tmp_path / "face.png"
    Image.new("RGB", (16, 16)).save(face)
    folder = tmp_path / "model"
    checkpoint.save_model(folder, checkpoint.describe(model), model.state_dict())
    config = json.loads((folder / "config.json").read_text())
    config["attributes"], config["crop"], config["data"] = [HOSTILE], HOSTILE, {"source": HOSTILE}
    (folder / "config.json").write_text(json.dumps(config))
    told = assert_harmless(command("inspect", folder))
    assert told.count(SHOWN) == 3
    assert SHOWN in assert_harmless(command("edit", folder, face, "--set", "Smiling=1", "--out", tmp_path / "o.png"))


def test_labels_and_names_of_a_data_set(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / f"{HOSTILE}"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(12):
        Image.fromarray(rng.integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (folder / f"{HOSTILE}.png").write_bytes(b"no picture")
    label = HOSTILE.replace("]0;", "]0")
    rows = "".join(f"{number}.png,{number % 2}\n" for number in range(12)) + f"{HOSTILE}.png,1\n"
    (folder / "labels.csv").write_text(f"file,{label}\n{rows}")
    done = command("data", "check", f"folder:{folder}", "--image-size", "16")
    assert done.status == 0, done.err
    assert SHOWN.replace("]0;", "]0") in assert_harmless(done)
    assert SHOWN in done.out
    assert_harmless(command("data", "check", f"folder:{folder}", "--image-size", "16", "--json"))


def test_keys_of_shards(command: Command, tmp_path: Path) -> None:
    shard = tmp_path / f"{HOSTILE}.tar"
    shard.write_bytes(b"no tar file" * 100)
    done = command("bulk", shard, "--set", "Smiling=1", "--out", tmp_path / "out")
    assert SHOWN in assert_harmless(done)
