"""What can be edited: `visagist attributes`, plain words for attributes, and what is suggested for a slip."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import Command
from PIL import Image

from visagist.attributes import ALIASES, CELEBA_ATTRIBUTES, DERIVED, resolve_strengths
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.photos.photo import read_photo
from visagist.photos.provenance_reading import read_provenance
from visagist.pretrained import defaults

pytestmark = pytest.mark.usefixtures("own_cache")


def test_every_attribute_is_listed_with_its_words_and_models_and_their_figures(command: Command) -> None:
    rows = json.loads(command("attributes", "--json").out)
    assert {row["attribute"] for row in rows} == set(defaults())
    assert all(row["models"][0]["model"] == defaults()[row["attribute"]] for row in rows)
    beard = next(row for row in rows if row["attribute"] == "No_Beard")
    assert "-beard" in beard["words"]
    assert 0.9 < beard["models"][0]["taken"] <= 1
    shown = command("attributes").out
    assert "vae-wgan-celeba-64" in shown
    assert "Wearing_Hat" in shown


def test_some_are_shown_by_plain_words_and_drawn(command: Command, tmp_path: Path) -> None:
    done = command("attributes", "smile", "--out", tmp_path / "smile.png")
    assert done.status == 0, done.err
    assert "Smiling" in done.out
    assert "Young" not in done.out
    assert read_photo(tmp_path / "smile.png").size[0] > 3 * 128
    assert read_provenance(tmp_path / "smile.png").known
    assert "did not write it" in command("attributes", "smile", "--out", _foreign(tmp_path)).error


def _foreign(folder: Path) -> Path:
    Image.new("RGB", (9, 9)).save(folder / "mine.png")
    return folder / "mine.png"


def test_plain_words_mean_attributes_of_celeba() -> None:
    known = {*CELEBA_ATTRIBUTES, *DERIVED}
    assert {name for meant in ALIASES.values() for name, _ in meant} <= known
    every = list(defaults())
    asked = {"beard": 1, "Old": 0.5, "glasses": -1, "black hair": 1}
    meant = {"No_Beard": -1, "Young": -0.5, "Eyeglasses": -1, "Black_Hair": 1}
    assert resolve_strengths(asked, every, "the models") == meant
    assert resolve_strengths({"beard": 1}, ["Facial_Hair"], "the models") == {"Facial_Hair": 1}


@pytest.mark.parametrize(("word", "offered"), [("smil", "smile or Smiling"), ("glases", "glasses"), ("bear", "beard")])
def test_suggestions_include_plain_words(command: Command, tmp_path: Path, word: str, offered: str) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "me.png")
    assert offered in command("edit", tmp_path / "me.png", "--set", f"{word}=1", "--out", tmp_path / "o.png").error


def test_an_attribute_that_is_named_twice_is_refused() -> None:
    with pytest.raises(VisagistError, match="named twice"):
        resolve_strengths({"old": 1, "Young": 1}, ["Young"], "the models")


def test_an_editor_takes_plain_words_too() -> None:
    editor = Editor.from_pretrained("ifcvae-gan-smiling-64", "cpu")
    face = Image.new("RGB", (64, 64), (180, 140, 120))
    assert editor.edit(face, smile=1).tobytes() == editor.edit(face, Smiling=1).tobytes()
    assert editor.edit(face, serious=1).tobytes() == editor.edit(face, Smiling=-1).tobytes()


def test_what_a_model_is_names_the_attributes_of_its_vectors(command: Command) -> None:
    facts = json.loads(command("inspect", "vae-wgan-celeba-64", "--json").out)
    assert "Wearing_Hat" in facts["attributes"]
    assert facts["by vectors"] is True
    line = next(line for line in command("doctor").out.splitlines() if "vae-wgan-celeba-64" in line)
    assert "16 attributes" in line
