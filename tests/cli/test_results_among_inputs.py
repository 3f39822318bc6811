"""Results that lie inside the folder of inputs are not taken for inputs when a run is taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import Command, contents
from photo_seeds import portrait
from PIL import Image

pytestmark = pytest.mark.usefixtures("own_cache")
MODEL = "ifcvae-gan-smiling-64"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for place in ("a.png", "more/b.png"):
        portrait(64).resize((64, 64)).save(folder / place)
    return folder


def test_bulk_goes_on_with_its_results_inside_the_folder(command: Command, photos: Path) -> None:
    arguments = ("bulk", photos, "--model", MODEL, "--set", "Smiling=1", "--out", photos / "edited")
    assert command(*arguments).status == 0
    before = {name: data for name, data in contents(photos / "edited").items() if name.endswith(".png")}
    assert sorted(before) == ["a.png", "more/b.png"]
    again = command(*arguments)
    assert again.status == 0, again.err
    assert {name: data for name, data in contents(photos / "edited").items() if name.endswith(".png")} == before


@pytest.mark.parametrize("given", ["", "**/*.png"])
def test_edit_goes_on_with_its_results_inside_the_folder(command: Command, photos: Path, given: str) -> None:
    arguments = ("edit", MODEL, photos / given, "--recursive", "--set", "Smiling=1", "--out", photos / "edited")
    assert "2 edited" in command(*arguments).err
    Image.new("RGB", (64, 64)).save(photos / "c.png")
    again = command(*arguments)
    assert again.status == 0, again.err
    assert "1 edited, 2 there already" in again.err
    assert not (photos / "edited" / "edited").exists()


def test_a_folder_of_results_that_is_given_itself_is_edited(command: Command, photos: Path) -> None:
    done = command("edit", MODEL, photos / "more", "--set", "Smiling=1", "--out", photos / "more" / "b.png")
    assert "would be lost" in done.error
