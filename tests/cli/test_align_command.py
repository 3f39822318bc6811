"""Ordinary photographs: `visagist align`, `--align`, and what is refused or found where aligned faces are expected."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cli_runs import TINY, Command, contents
from PIL import Image
from portraits import drawn, lay, photograph, portrait_photo

from visagist.data import load_data
from visagist.data.crops import TEMPLATE
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.faces.detection import detect
from visagist.photos.photo import read_photo
from visagist.pipelines.train import train

pytestmark = pytest.mark.usefixtures("own_cache")
MODEL = "ifcvae-gan-smiling-64"
ALIGNED = [*TINY[2:], "--set", "image_size=32", "--images", "8", "--device", "cpu", "--attributes", "Hat"]


def scattered(number: int) -> np.ndarray:
    """A photograph with one drawn face somewhere."""
    rng = np.random.default_rng(number)
    at, scale = (rng.uniform(80, 220), rng.uniform(75, 125)), rng.uniform(0.8, 1.1)
    return lay(photograph((300, 200)), drawn(number, 120)[0], at, scale, rng.uniform(-15, 15))[0]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person's photographs and labels."""
    folder = tmp_path_factory.mktemp("photographs") / "own"
    (folder / "trip").mkdir(parents=True)
    names = [f"p{i}.png" for i in range(5)] + ["trip/p5.png"]
    for number, name in enumerate(names):
        Image.fromarray(scattered(number)).save(folder / name)
    with (folder / "labels.csv").open("w", newline="") as file:
        splits = ["train"] * 4 + ["val", "test"]
        csv.writer(file).writerows([("file", "Hat", "split"), *zip(names, [0, 1] * 3, splits)])
    return folder


@pytest.fixture(scope="module")
def editor() -> Editor:
    return Editor.from_pretrained(MODEL, "cpu")


def test_faces_come_out_upright_in_one_place_and_beside_their_labels(command: Command, own: Path, tmp_path: Path) -> None:
    out = tmp_path / "aligned"
    done = command("align", own, "--out", out)
    assert done.status == 0, done.err
    assert done.out.strip() == f"folder:{out}"
    assert "6 aligned" in done.err
    for name in ("p0.png", "trip/p5.png"):
        pixels = read_photo(out / name).view()
        assert pixels.shape == (218, 178, 3)
        (face,) = detect(pixels)
        eyes = np.linalg.norm(TEMPLATE[1] - TEMPLATE[0])
        assert np.abs(face.landmarks - TEMPLATE).mean() < 0.15 * eyes
    faces = load_data(f"folder:{out}", image_size=32, crop="centre148")
    assert (len(faces), faces.names) == (6, ("Hat",))
    assert command("train", "ifcvae-gan", "--data", f"folder:{out}", *ALIGNED, "--out", tmp_path / "run").status == 0


def test_what_is_aligned_already_is_kept_and_a_changed_photograph_is_aligned_anew(
    command: Command, own: Path, tmp_path: Path
) -> None:
    photos, out = tmp_path / "own", tmp_path / "aligned"
    shutil.copytree(own, photos)
    command("align", photos, "--out", out)
    before = contents(out)
    assert "6 of them there already" in command("align", photos, "--out", out).err
    assert contents(out) == before
    Image.fromarray(scattered(11)).save(photos / "p3.png")
    assert "5 of them there already" in command("align", photos, "--out", out).err
    assert {name for name, data in contents(out).items() if data != before[name]} == {"p3.png"}
    assert "6 aligned" in command("align", photos, "--side", 128, "--out", out).err
    assert read_photo(out / "p3.png").size == (128, 128)


def test_a_photograph_without_a_face_is_told_of_and_stops_nothing(command: Command, own: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(own / "p0.png", photos)
    Image.fromarray(photograph((300, 200))).save(photos / "sky.png")
    done = command("align", photos, "--out", tmp_path / "out")
    assert (done.status, "1 photos without a face" in done.err) == (3, True)
    (photos / "broken.png").write_bytes(b"no picture")
    done = command("align", photos, "--out", tmp_path / "out", "--json")
    assert done.status == 4
    reasons = {Path(file["file"]).name: file["reason"] for file in json.loads(done.out)["files"]}
    assert (reasons["p0.png"], "no face" in reasons["sky.png"], "not a picture" in reasons["broken.png"]) == ("", True, True)


def test_every_face_of_a_photograph_is_a_picture_of_its_own(command: Command, own: Path, tmp_path: Path) -> None:
    two = np.concatenate([scattered(1), scattered(2)], axis=1)
    Image.fromarray(two).save(tmp_path / "two.png")
    assert "2 aligned" in command("align", tmp_path / "two.png", "--face", "all", "--out", tmp_path / "out").err
    assert sorted(contents(tmp_path / "out")) == ["two-0.png", "two-1.png"]


def test_nothing_of_a_person_is_written_over(command: Command, own: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    Image.fromarray(scattered(3)).save(tmp_path / "out" / "p0.png")
    before = contents(tmp_path / "out")
    assert "did not write it" in command("align", own, "--out", tmp_path / "out").error
    assert "did not write it" in command("align", own / "p0.png", own / "p1.png", "--out", own).error
    assert contents(tmp_path / "out") == before


def test_training_on_unaligned_photographs_is_refused_or_aligns_them(command: Command, own: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    error = command("train", "ifcvae-gan", "--data", f"folder:{own}", *ALIGNED, "--out", out).error
    assert "lie in different places" in error
    assert "--align" in error
    assert not out.exists()
    done = command("train", "ifcvae-gan", "--data", f"folder:{own}", "--align", *ALIGNED, "--out", out)
    assert done.status == 0, done.err
    assert "6 of 6 photographs aligned" in done.err
    as_is = ("--data", f"folder:{own}", "--as-is", *ALIGNED, "--out", tmp_path / "as-is")
    assert command("train", "ifcvae-gan", *as_is).status == 0
    asked = ("--data", f"folder:{own}", "--split", "all", "--number", 9, "--out", tmp_path / "map")
    assert "--align" in command("map", MODEL, *asked).error
    with pytest.raises(VisagistError, match="folder:PATH"):
        train("ifcvae-gan", "synthetic:20", attributes=["Smiling"], align=True, out=tmp_path / "no")


@pytest.mark.parametrize("form", ["path", "picture", "array", "floats"])
def test_an_editor_refuses_a_face_that_is_not_aligned(editor: Editor, tmp_path: Path, form: str) -> None:
    import torch

    pixels = scattered(0)
    Image.fromarray(pixels).save(tmp_path / "me.png")
    floats = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
    given = {"path": tmp_path / "me.png", "picture": Image.fromarray(pixels), "array": pixels[None], "floats": floats}[form]
    for call in (lambda: editor.edit(given, Smiling=1), lambda: editor.see(given), lambda: editor.reconstruct([given])
                 if form in ("path", "picture") else editor.reconstruct(given)):  # fmt: skip
        with pytest.raises(VisagistError, match=r"not one aligned face.*edit_photo"):
            call()
    assert editor.edit(given, aligned=True, Smiling=1) is not None


def test_an_aligned_face_of_any_size_is_taken(editor: Editor) -> None:
    face = drawn(0, 200)[0]
    assert editor.edit(face, Smiling=1).shape == (64, 64, 3)
    assert editor.edit(portrait_photo((148, 148), 1.0)[0], Smiling=1).shape == (64, 64, 3)


def test_ways_and_walks_start_from_the_faces_that_are_found(command: Command, own: Path, tmp_path: Path) -> None:
    aligned = tmp_path / "aligned"
    command("align", own / "p0.png", own / "p1.png", "--side", 64, "--out", aligned)
    ways = {}
    for folder in (own, aligned):
        out = tmp_path / f"{folder.name}.png"
        done = command("interpolate", MODEL, folder / "p0.png", folder / "p1.png", "--steps", 3, "--out", out)
        assert done.status == 0, done.err
        ways[folder] = read_photo(out).view().astype(int)
    assert np.abs(ways[own] - ways[aligned]).mean() < 3
    whole = tmp_path / "whole.png"
    command("interpolate", MODEL, own / "p0.png", own / "p1.png", "--steps", 3, "--aligned", "--out", whole)
    assert np.abs(read_photo(whole).view().astype(int) - ways[own]).mean() > 10
    Image.fromarray(photograph((300, 200))).save(tmp_path / "sky.png")
    for arguments in (["traverse", "--number", 1], ["walk"]):
        done = command(arguments[0], MODEL, tmp_path / "sky.png", *arguments[1:], "--out", tmp_path / "no.png")
        assert done.status == 3
        assert "--aligned" in done.err
