"""What `visagist sample` promises: what is printed, what is written, and what is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import Command, contents
from latent_toys import SIZE, LinearToy, linear_toy
from PIL import Image
from tiny_models import tiny_model

from visagist import methods
from visagist.checkpoints import checkpoint
from visagist.methods.base import Method

BRIEF = ("--steps", 100, "--step-size", 0.05, "--device", "cpu")


pytestmark = pytest.mark.usefixtures("own_cache")


def saved(folder: Path, model: Any) -> Path:
    checkpoint.save_model(folder, checkpoint.describe(model), model.state_dict())
    return folder


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder of a method that classifies codes, with Eyeglasses and Smiling."""
    monkeypatch.setitem(Method.registered, "linear-toy", LinearToy)
    return saved(tmp_path / "toy", linear_toy())


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A model folder of an IFcVAE-GAN with Smiling, 16 pixels."""
    return saved(tmp_path / "labelled", tiny_model(methods.get("ifcvae-gan")))


def picture(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


def test_every_face_is_a_picture_and_the_sheet_is_larger_than_any(command: Command, tmp_path: Path, toy: Path) -> None:
    for number in (1, 5):
        out = tmp_path / f"out-{number}"
        done = command("sample", toy, "--given", "Eyeglasses=1,Smiling=0", "--number", number, "--out", out, *BRIEF)
        assert done.status == 0, done.err
        assert done.out.splitlines()[-1] == str(out / "sheet.png")
        faces = [f"{i:04d}.png" for i in range(number)]
        assert sorted(path.name for path in out.iterdir()) == [*faces, "sheet.png"]
        assert {picture(out / face).size for face in faces} == {(SIZE, SIZE)}
        assert min(picture(out / "sheet.png").size) > SIZE


def test_a_generated_picture_says_of_itself_that_it_is(command: Command, tmp_path: Path, toy: Path) -> None:
    out = tmp_path / "out"
    assert command("sample", toy, "--given", "Smiling=0", "--number", 2, "--seed", 7, "--out", out, *BRIEF).status == 0
    for path in out.iterdir():
        assert picture(path).getexif()[0x0131] == "generated with visagist, toy: Smiling=0, seed 7"


def test_what_was_measured_is_printed_for_a_person_and_as_json(command: Command, tmp_path: Path, toy: Path) -> None:
    arguments = ("sample", toy, "--given", "Eyeglasses=1", "--number", 3, "--out", tmp_path / "out", *BRIEF)
    facts = json.loads(command(*arguments, "--json").out)
    assert (facts["model"], facts["given"], facts["how"], facts["seed"]) == ("toy", {"Eyeglasses": 1}, "chain", 0)
    assert facts["settings"]["steps"] == 100
    assert facts["acceptance"]["value"] >= facts["prior"]["value"]
    assert facts["acceptance"]["n"] == 512
    assert facts["probability"]["Eyeglasses"] >= 0.9
    assert [Path(path).name for path in facts["files"]] == ["0000.png", "0001.png", "0002.png"]
    told = command(*arguments).out
    low, high = (f"{100 * facts['acceptance'][end]:.1f}" for end in ("low", "high"))
    assert f"[{low}, {high}] of 512, with a confidence of 0.9" in told
    assert f"of the prior: {100 * facts['prior']['value']:.1f} %" in told
    assert f"bias of Eyeglasses, before rejection: {facts['bias']['Eyeglasses']['difference']:+.3f}" in told
    assert f"Eyeglasses=1 by the model's own classifier: {facts['probability']['Eyeglasses']:.3f}" in told


def test_the_papers_recipe_is_run_as_published_and_prints_its_bias(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Method.registered, "linear-toy", LinearToy)
    model = saved(tmp_path / "steep-2", linear_toy(("Eyeglasses",), latent=1, steepness=2.0))
    asked = ("sample", model, "--given", "Eyeglasses=1", "--recipe", "paper", "--number", 300, "--device", "cpu")
    done = command(*asked, "--out", tmp_path / "out", "--json")
    facts = json.loads(done.out)
    assert (facts["settings"]["step_size"], facts["settings"]["steps"]) == (2e-4, 5000)
    bias = facts["bias"]["Eyeglasses"]
    assert bias["posterior"] == pytest.approx(0.606, abs=0.015)
    assert bias["low"] < -0.118 < bias["high"] < 0


def test_faces_are_a_function_of_the_seed(command: Command, tmp_path: Path, toy: Path, labelled: Path) -> None:
    for model, given in ((toy, ("--given", "Smiling=1")), (toy, ()), (labelled, ("--given", "Smiling=1")), (labelled, ())):
        outs = []
        for run, seed in enumerate((1, 1, 2)):
            out = tmp_path / f"{model.name}-{len(given)}-{run}"
            assert command("sample", model, *given, "--number", 3, "--seed", seed, "--out", out, *BRIEF).status == 0
            outs.append([np.asarray(picture(out / f"{i:04d}.png")) for i in range(3)])
        assert np.array_equal(outs[0], outs[1])
        assert not np.array_equal(outs[0], outs[2])


def test_a_model_of_labels_is_conditioned_by_them_and_has_no_chains(
    command: Command, tmp_path: Path, labelled: Path
) -> None:
    arguments = ("sample", labelled, "--given", "Smiling=1", "--number", 2, "--out", tmp_path / "out", "--device", "cpu")
    facts = json.loads(command(*arguments, "--json").out)
    assert facts["how"] == "label"
    assert not {"acceptance", "settings", "bias"} & facts.keys()
    assert 0 <= facts["probability"]["Smiling"] <= 1
    assert "accepted" not in command(*arguments).out
    without = ("sample", labelled, "--number", 2, "--out", tmp_path / "any", "--device", "cpu")
    drawn = command(*without, "--json")
    assert json.loads(drawn.out)["how"] == "prior"
    assert "no chains were run" not in drawn.err


def test_options_of_chains_that_did_nothing_are_said_to(command: Command, tmp_path: Path, labelled: Path, toy: Path) -> None:
    told = command("sample", labelled, "--given", "Smiling=1", "--number", 1, "--out", tmp_path / "a", "--steps", 9).err
    assert "no chains were run, so their options did nothing: labelled is conditioned through its labels" in told
    told = command("sample", toy, "--recipe", "paper", "--number", 1, "--out", tmp_path / "b").err
    assert "no attribute is given" in told


def test_the_same_sample_may_be_written_again_but_not_among_a_larger_one(
    command: Command, tmp_path: Path, labelled: Path
) -> None:
    out = tmp_path / "out"
    assert command("sample", labelled, "--number", 3, "--out", out).status == 0
    before = contents(out)
    assert command("sample", labelled, "--number", 3, "--out", out).status == 0
    assert contents(out) == before
    assert "holds 0002.png of a larger sample" in command("sample", labelled, "--number", 2, "--out", out).error
    assert contents(out) == before


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--given", "Smiling"), "--given 'Smiling' is no value: write NAME=1"),
        (("--given", "Smiling=2"), "--given 'Smiling=2' is no value"),
        (("--given", "Smiling=1,Smiling=0"), "names Smiling twice"),
        (("--given", "Smilling=1"), "did you mean Smiling"),
        (("--recipe", "papr"), "did you mean paper"),
        (("--chain", "metropolis"), "no chain 'metropolis'"),
        (("--steps", "0"), "chains of 0 steps"),
        (("--step-size", "3"), "step size of 3 does not settle"),
        (("--confidence", "1"), "1 confident"),
        (("--number", "0"), "0 faces cannot be drawn"),
        (("--seed", "-1"), "--seed"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_writes_nothing(
    command: Command, tmp_path: Path, toy: Path, words: tuple[str, ...], line: str
) -> None:
    assert line in command("sample", toy, *words, "--out", tmp_path / "out").error
    assert not (tmp_path / "out").exists()


def test_too_few_accepted_faces_are_an_error_and_not_a_smaller_sample(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(Method.registered, "linear-toy", LinearToy)
    flat = saved(tmp_path / "flat", linear_toy(("Smiling",), steepness=0.1))
    asked = ("sample", flat, "--given", "Smiling=1", "--number", 4, "--out", tmp_path / "out", "--steps", 2)
    assert "0 of 10240 chains end where the classifier is 0.9 sure of Smiling=1" in command(*asked).error
    assert not (tmp_path / "out").exists()


def test_a_file_is_no_folder_for_faces(command: Command, tmp_path: Path, labelled: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "is a file: give a folder" in command("sample", labelled, "--out", tmp_path / "file").error


def test_a_judge_is_no_model_to_sample(command: Command, tmp_path: Path) -> None:
    assert command("sample", "judge-64", "--out", tmp_path / "out").status == 2
