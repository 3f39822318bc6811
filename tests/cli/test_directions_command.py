"""What `visagist directions` promises: what is printed, what is written, what is refused, and that it can be used again."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Command, contents
from tiny_models import tiny_model
from tiny_zoo import saved, use_two_small_judges

from visagist import methods
from visagist.data.drawn.synthetic import load_synthetic
from visagist.editing.direction_editor import DirectionEditor
from visagist.editing.editor import Editor

DRAWN = "synthetic:100"
BRIEF = ("--device", "cpu", "--number", 2, "--limit", 10, "--train", 60)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, in a world with two small judges of everything that is drawn."""
    use_two_small_judges(tmp_path, monkeypatch)
    return Command(capfd)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder of an IntroVAC that knows Smiling, 16 pixels."""
    return saved(tmp_path / "model", tiny_model(methods.get("introvac")))


def test_the_command_writes_the_report_and_directions_that_edit_again(command: Command, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    given = ("--attributes", "Smiling", "--condition-on", "Young")
    done = command("directions", model, "--data", DRAWN, *given, "--out", out, *BRIEF)
    assert done.status == 0, done.err
    assert done.out.splitlines()[-1] == str(out / "directions.html")
    names = ["directions.csv", "directions.html", "directions.json", "directions.safetensors"]
    assert sorted(contents(out)) == names
    for title in ("Smiling: at equal judged strength", "Smiling: at equal length", "lda given Young", "no edit"):
        assert title in " ".join(done.out.split()), title
    assert "the classifier does not know Young; logistic regression found that direction" in done.err
    assert "not computed: direction.*.identity.*: no identity embedder" in done.err
    with (out / "directions.csv").open() as file:
        keys = [row["key"] for row in csv.DictReader(file)]
    assert "direction.Smiling.classifier.given_Young.at_strength.reads.Young.adding.change" in keys
    editor = Editor.from_pretrained(model, "cpu")
    along = DirectionEditor.from_file(out / "directions.safetensors", editor, "logistic", ["Young"])
    assert along.attributes == ("Smiling",)
    faces = load_synthetic(4, image_size=16).images
    assert (along.edit(faces, Smiling=1) != along.edit(faces, Smiling=-1)).any()


def test_json_is_the_file_and_a_label_conditioned_model_is_measured_too(command: Command, tmp_path: Path) -> None:
    labelled = saved(tmp_path / "labelled", tiny_model(methods.get("ifcvae-gan")))
    out = tmp_path / "out"
    done = command("directions", labelled, "--data", DRAWN, "--out", out, "--json", *BRIEF)
    assert done.status == 0, done.err
    printed = json.loads(done.out)
    assert printed == json.loads((out / "directions.json").read_text())
    assert printed["manifest"]["given"] == []  # drawn faces have no gender
    assert {facts["kind"] for facts in printed["manifest"]["directions"]} == {"mean", "logistic", "svm", "lda"}
    assert "no linear classifier" in printed["not_computed"]["direction.Smiling.classifier.*"]
    assert np.isfinite([measure["value"] for measure in printed["metrics"].values()]).all()


def test_what_cannot_be_compared_is_one_line_and_leaves_nothing(command: Command, tmp_path: Path, model: Path) -> None:
    out = tmp_path / "out"
    given = ("directions", model, "--data", DRAWN, "--out", out, *BRIEF)
    assert "did you mean Smiling" in command(*given, "--attributes", "Smilin").error
    assert "no attribute 'Male' in the data" in command(*given, "--condition-on", "Male").error
    assert "--condition-on 'Young,,' has an empty name" in command(*given, "--condition-on", "Young,,").error
    assert "the equal step is 20 units" in command(*given, "--step", 20).error
    assert "never scores" in command(*given, "--judge", "judge-64-b").error
    assert "--identity-box says what an embedder sees" in command(*given, "--identity-box", "0,0,1,1").error
    assert not out.exists()


def test_nothing_is_conditioned_on_where_none_is_asked_for(command: Command, tmp_path: Path, model: Path) -> None:
    done = command("directions", model, "--data", DRAWN, "--out", tmp_path / "out", "--condition-on", "none", *BRIEF)
    assert done.status == 0, done.err
    assert "given" not in done.out
