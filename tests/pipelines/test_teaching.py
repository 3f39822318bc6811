"""Teaching an attribute from few photographs: what is fitted, how it is measured, and what a person is told."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from cli_runs import Command
from numpy.typing import NDArray
from PIL import Image
from portraits import POINTS, portrait_photo
from tiny_models import tiny_model
from torch import Tensor, nn

from visagist import Editor, VisagistError, teach
from visagist.checkpoints.checkpoint import describe, read_description, save_model
from visagist.data.drawn.synthetic import SyntheticFaces
from visagist.faces.alignment import align
from visagist.judges import load_judge
from visagist.latent.direction_types import Direction
from visagist.methods.base import Code, Method
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.methods.vae import VAE
from visagist.pipelines.teaching import held_out
from visagist.pipelines.teaching import teach as teach_module
from visagist.pipelines.teaching.differences import describe_differences, describe_properties, find_differences
from visagist.pipelines.teaching.lesson import ImaginedFaces, Lesson, fit_reader, fit_vector
from visagist.pipelines.teaching.photographs import TaughtFaces, read_faces
from visagist.pipelines.teaching.teach import teach_faces
from visagist.progress import Progress

SIDE, CELLS = 64, 16


@dataclass(frozen=True)
class PooledConfig:
    cells: int = CELLS


class Pooled(Method):
    """A face's code is the face at a quarter of its side, so that an edit along a vector can be looked at."""

    Config = PooledConfig
    capabilities = frozenset({"autoencode"})

    def __init__(self) -> None:
        super().__init__(PooledConfig(), (), SIDE)
        self.name = "pooled"  # on the instance: a name on the class would register it for every other test
        self.blank = nn.Parameter(torch.zeros(1))

    def encode(self, images: Tensor) -> Code:
        return Code(F.adaptive_avg_pool2d(images, CELLS).flatten(1))

    def decode(self, code: Code) -> Tensor:
        return F.interpolate(code.z.view(-1, 3, CELLS, CELLS), SIDE, mode="bilinear").clamp(0, 1)


@pytest.fixture(autouse=True)
def _few_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Halve once and imagine few faces: the numbers are for good figures, and the tests ask for no such."""
    monkeypatch.setattr(held_out, "READINGS", 4)
    monkeypatch.setattr(teach_module, "IMAGINED", 48)


def drawn_faces(number: int = 16) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Drawn faces, those with a hat first: each is drawn with or without, all else as it fell."""
    faces = SyntheticFaces(2 * number, image_size=SIDE, seed=5)
    present = np.arange(2 * number) < number
    return np.stack([faces.counterfactual(i, Wearing_Hat=int(has)) for i, has in enumerate(present)]), present


def taught_faces(squares: NDArray[np.uint8], present: NDArray[np.bool_]) -> TaughtFaces:
    number = len(squares)
    files = tuple(f"{i}.png" for i in range(number))
    return TaughtFaces(
        squares, squares, present, files, squares.mean((1, 2, 3)), np.full(number, 64.0), np.zeros(number, bool)
    )


@pytest.fixture(scope="module")
def judges() -> tuple[object, object]:
    return load_judge("judge-64-b"), load_judge("judge-64")


def test_what_is_taught_is_given_to_and_taken_from_faces_that_taught_nothing(judges: tuple) -> None:
    faces = taught_faces(*drawn_faces())
    taught = teach_faces("Cap", faces, Editor(Pooled()), judges)
    measured = taught.held_out
    assert measured.told_apart["low"] > 0.7
    for way in ("+1", "-1"):
        assert measured.success[way]["n"] == 16
        assert measured.success[way]["value"] > measured.base[way]["value"] + 0.2
        assert taught.strength[way].calibrated
        assert taught.strength[way].judge == "a reader on judge-64-b"
    assert taught.editor.attributes == ("Cap",)


def test_folders_that_differ_in_nothing_are_said_to_teach_nothing(judges: tuple) -> None:
    squares, _ = drawn_faces(12)
    present = np.random.default_rng(2).permutation(24) < 12
    taught = teach_faces("Nothing", taught_faces(squares, present), Editor(Pooled()), judges)
    assert taught.held_out.told_apart["low"] < 0.5
    assert any("not told apart" in warning for warning in taught.warnings)
    assert any("12 photographs of a folder are few" in warning for warning in taught.warnings)


def lesson_of(z: NDArray[np.float64], present: NDArray[np.bool_], **changes: object) -> Lesson:
    blank = Lesson("Beret", None, None, z, present, None, np.zeros((len(z), 1), np.float32), (), {})  # type: ignore[arg-type]
    return replace(blank, **changes)  # type: ignore[arg-type]


def test_what_is_known_of_another_attribute_is_taken_out_as_far_as_the_folders_differ_in_it() -> None:
    rng = np.random.default_rng(0)
    present = np.arange(400) < 200
    male = rng.random(400) < np.where(present, 0.9, 0.2)
    own, other = np.eye(6)[0], np.eye(6)[1]
    z = present[:, None] * own + 2.0 * male[:, None] * other + 0.05 * rng.normal(size=(400, 6))
    plain = fit_vector(lesson_of(z, present), np.arange(400))
    known = Direction("Male", "mean", other, 1.0, length=2.0)
    held = fit_vector(lesson_of(z, present, held=(known,), read={"Male": male.astype(float)}), np.arange(400))
    assert plain.vector @ other > 0.5
    assert abs(held.vector @ other) < 0.05
    assert held.vector @ own > 0.99
    assert held.length == pytest.approx(1, abs=0.05)
    assert held.matched == ("Male",)


def test_imagined_faces_make_a_vector_of_few_photographs_better_and_of_many_hardly_change_it() -> None:
    rng = np.random.default_rng(3)
    own = np.eye(40)[0]
    z = rng.normal(size=(1000, 40))
    imagined = ImaginedFaces(z, z[:, :2].astype(np.float32))  # features that show the attribute and one thing more
    for number, better in ((5, True), (400, False)):
        present = np.arange(2 * number) < number
        codes = rng.normal(size=(2 * number, 40)) + 2 * present[:, None] * own
        lesson = lesson_of(codes, present, features=codes[:, :2].astype(np.float32))
        alone, both = (fit_vector(given, lesson.rows).vector @ own for given in (lesson, replace(lesson, imagined=imagined)))
        assert (both > alone + 0.1) == better
        assert both > 0.75


def test_a_reader_gives_the_logits_of_its_regression_whatever_the_scale_of_the_features() -> None:
    rng = np.random.default_rng(0)
    present = np.arange(60) < 30
    x = rng.normal(size=(60, 5)) + present[:, None]
    logits = fit_reader(x, present)(x)
    np.testing.assert_allclose(fit_reader(1000 * x + 7, present)(1000 * x + 7), logits, atol=1e-3)
    assert logits[present].mean() > 1 > -1 > logits[~present].mean()


def test_a_known_attribute_that_the_folders_differ_in_is_named_and_chance_is_not() -> None:
    present = np.arange(40) < 20
    scores = np.zeros((40, 3), np.float32)
    scores[:18, 0] = 1  # Male: 18 of 20 with, 2 of 20 without
    scores[20:22, 0] = 1
    scores[[0, 1, 2, 25], 1] = 1  # Bald: 3 and 1
    differences = find_differences(scores, ("Male", "Bald", "Young"), present)
    assert [found.attribute for found in differences] == ["Male"]
    (line,) = describe_differences("Beret", differences, ())
    assert line == (
        "the folders differ in Male too (read in 90 % with, 10 % without): unless Beret means that, its edits change it; "
        "add photographs with it to --without or without it to --with"
    )
    (line,) = describe_differences("Beret", differences, ("Male",))
    assert "is taken out" in line


def test_folders_of_other_light_size_or_colour_are_told_of() -> None:
    squares, present = drawn_faces(12)
    alike = taught_faces(squares, present)
    assert describe_properties(alike) == []
    other = replace(
        alike, lightness=np.where(present, 60.0, 120.0), width=np.where(present, 300.0, 60.0), grey=present
    )
    lines = describe_properties(other)
    assert [line.split(" than ")[0] for line in lines[:2]] == ["photographs with are darker", "photographs with are larger"]
    assert lines[2] == "100 % of the photographs with are grey and 0 % of those without: mix them"


def write_pictures(folder: Path, pictures: NDArray[np.uint8], name: str = "face") -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    for i, pixels in enumerate(pictures):
        Image.fromarray(pixels).save(folder / f"{name}{i}.png")
    return folder


def small_faces(number: int, seed: int, bright: int) -> NDArray[np.uint8]:
    squares = np.random.default_rng(seed).integers(0, 120, (number, 16, 16, 3))
    squares[:, :4] += bright
    return squares.astype(np.uint8)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return (
        write_pictures(tmp_path / "with", small_faces(8, 0, 120)), write_pictures(tmp_path / "without", small_faces(9, 1, 0))
    )  # fmt: skip


@pytest.fixture
def vae(tmp_path: Path) -> Path:
    model = tiny_model(VAE, ())
    save_model(tmp_path / "vae", describe(model, crop=None), model.state_dict())
    return tmp_path / "vae"


def test_ordinary_photographs_are_found_and_aligned_and_what_shows_no_face_is_noted(tmp_path: Path, judges: tuple) -> None:
    editor = Editor(tiny_model(VAE, ()), {**describe(tiny_model(VAE, ())), "crop": "centre148"})
    portraits = [portrait_photo(degrees=degrees)[0] for degrees in (-8, -6, -4, -2, 2, 4, 6, 8)]
    present, absent = tmp_path / "with", write_pictures(tmp_path / "without", small_faces(9, 1, 0))
    for i, pixels in enumerate(portraits):
        write_pictures(present, pixels[None], f"portrait{i}")
    write_pictures(present, np.full((1, 90, 90, 3), 128, np.uint8), "nobody")
    write_pictures(present, portraits[0][None], "copy")
    (absent / "broken.jpg").write_bytes(b"no picture")
    faces = read_faces(present, absent, editor, judges[0], Progress())
    assert faces.counts() == (8, 9)
    photo, points = portrait_photo(degrees=-8)
    expected = align(points, "centre148", 16).face(photo)
    assert np.abs(faces.squares[1 if "portrait0" in faces.files[1] else 0].astype(int) - expected).mean() < 12
    assert POINTS.shape == (5, 2)
    notes = " ".join(faces.notes)
    assert all(part in notes for part in ("no face was found in", "is a copy of", "broken.jpg"))


def test_too_few_a_picture_in_both_folders_and_taken_names_are_refused(
    folders: tuple[Path, Path], vae: Path, tmp_path: Path
) -> None:
    present, absent = folders
    few = write_pictures(tmp_path / "few", small_faces(3, 4, 0))
    with pytest.raises(VisagistError, match=r"few has 3 photographs that show a face: .* at least 8 with and 8 without"):
        teach("Beret", present, few, model=vae)
    with pytest.raises(VisagistError, match=r"no folder .*nowhere: give --without"):
        teach("Beret", present, tmp_path / "nowhere", model=vae)
    with pytest.raises(VisagistError, match="Eyeglasses is what the judges call"):
        teach("Eyeglasses", present, absent, model=vae)
    with pytest.raises(VisagistError, match="cannot be called 'my beret'"):
        teach("my beret", present, absent, model=vae)
    with pytest.raises(VisagistError, match="has no vector of Male, which is to be held: it has none"):
        teach("Beret", present, absent, model=vae, held=("Male",))
    (absent / "twice.png").write_bytes((present / "face0.png").read_bytes())
    with pytest.raises(VisagistError, match=r"face0.png and .*twice.png are one picture"):
        teach("Beret", present, absent, model=vae)


def test_a_taught_model_is_a_folder_that_commands_take(
    command: Command, folders: tuple[Path, Path], vae: Path, tmp_path: Path
) -> None:
    present, absent = folders
    out = tmp_path / "Beret"
    named = ["teach", "Beret", "--with", present, "--without", absent]
    result = command(*named, "--model", vae, "--out", out, "--device", "cpu")
    assert result.status == 0, result
    assert "Beret: 8 photographs with it, 9 without" in result.out
    assert "held-out photographs are told apart: area under the ROC curve" in result.out
    assert "8 photographs of a folder are few" in result.err
    assert "## On held-out photographs" in (out / "README.md").read_text()
    described = read_description(out)
    assert described["taught"][0]["attribute"] == "Beret"
    edited = command("edit", out, present / "face0.png", "--set", "Beret=-1", "--out", tmp_path / "bare.png")
    assert edited.status == 0, edited
    assert command("inspect", out, "--json").out.count("Beret") >= 1
    # One more is taught to the taught model, which keeps the first with its strength.
    more = teach("Cap", absent, present, model=out, out=tmp_path / "both", device="cpu")
    assert more.editor.attributes == ("Beret", "Cap")
    strength = read_description(tmp_path / "both")["strength"]
    assert strength["Beret"] == described["strength"]["Beret"]
    taken = command(*named, "--model", out, "--out", tmp_path / "again")
    assert "edits Beret already" in taken.error
    json_text = command("inspect", tmp_path / "both", "--json").out
    assert json.loads(json_text)["by vectors"] is True


def test_a_model_with_an_edit_of_its_own_edits_by_what_it_was_taught(folders: tuple[Path, Path]) -> None:
    editor = Editor(tiny_model(IFcVAEGAN, ("Smiling",)))
    taught = teach("Beret", *folders, model=editor)
    assert taught.folder is None
    assert taught.editor.attributes == ("Beret",)
    assert editor.attributes == ("Smiling",)
    pixels = small_faces(2, 9, 0)
    assert taught.editor.edit(pixels, aligned=True, Beret=1).shape == pixels.shape
