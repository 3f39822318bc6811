"""Training on derived attributes and on named sets, from the command line and from Python."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Command, contents, train_arguments

import visagist
from visagist import Editor, VisagistError, load_data, pretrained, recipes
from visagist.attributes import CELEBA_ATTRIBUTES
from visagist.checkpoints.checkpoint import read_description
from visagist.data.drawn.synthetic import ATTRIBUTES, SyntheticFaces
from visagist.data.faces import Faces
from visagist.pipelines.plan import make_plan, training_faces

SMALL = {"image_size": 16, "width": 4, "batch_size": 8, "latent": 8}


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def drawn() -> Faces:
    return load_data("synthetic:60", image_size=16)


def with_set(out: Path, name: str, *more: object) -> list[str]:
    """The arguments of a tiny training on a named set."""
    arguments = train_arguments(out)
    at = arguments.index("--attributes")
    return [*arguments[:at], "--attribute-set", name, *arguments[at + 2 :], *map(str, more)]


def test_a_derived_attribute_is_trained_calibrated_edited_and_judged_on_drawn_faces(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command(*train_arguments(tmp_path / "judge", method="judge")).status == 0
    assert read_description(tmp_path / "judge" / "last")["attributes"] == list(ATTRIBUTES)
    (tmp_path / "zoo").mkdir()
    (tmp_path / "judge" / "last").rename(tmp_path / "zoo" / "judge-64-b")
    monkeypatch.setattr(pretrained, "ZOO", tmp_path / "zoo")
    arguments = train_arguments(tmp_path / "run")
    arguments[arguments.index("Smiling")] = "Facial_Hair"
    done = command(*arguments)
    assert done.status == 0, done.err
    assert done.err.count("Facial_Hair is derived: not No_Beard (Goatee, Mustache not known") == 1
    assert "strength calibrated for Facial_Hair by judge-64-b" in done.err
    described = read_description(tmp_path / "run" / "last")
    assert described["attributes"] == ["Facial_Hair"]
    assert described["strength"]["Facial_Hair"]["+1"]["calibrated"]
    face = SyntheticFaces(1, image_size=16).render()
    assert Editor.from_pretrained(tmp_path / "run", "cpu").edit(face, Facial_Hair=1).shape == (1, 16, 16, 3)
    metrics = visagist.evaluate(
        tmp_path / "run", "synthetic:60", judge=tmp_path / "judge" / "best", split="all", limit=30, allow_dependent=True
    )
    assert "which fitted the strength of run" in metrics.manifest["notes"][0]
    assert "edit.Facial_Hair.success_1" in metrics
    row = dict(zip(metrics.matrices["err_each"]["columns"], metrics.matrices["err_each"]["values"][0]))
    assert [name for name, share in row.items() if share is None] == ["No_Beard"]


def test_a_judge_learns_the_labels_of_the_data_and_nothing_derived() -> None:
    labels = np.random.default_rng(0).integers(0, 2, (40, 40), dtype=np.uint8)
    faces = Faces(np.zeros((40, 16, 16, 3), np.uint8), labels, CELEBA_ATTRIBUTES, np.zeros(40, np.uint8), tuple("a" * 40))
    plan = make_plan("judge", data=faces)
    assert training_faces(plan, faces).names == CELEBA_ATTRIBUTES


def test_a_set_is_trained_on_thinned_faces_and_the_checkpoint_says_which(command: Command, tmp_path: Path) -> None:
    done = command(*with_set(tmp_path / "run", "EyeFacial", "--set", "negatives=0.5", "--seed", 3))
    assert done.status == 0, done.err
    described = read_description(tmp_path / "run" / "last")
    assert described["attributes"] == ["Eyeglasses", "Facial_Hair"]
    kept = described["data"]["balance"]
    assert f"EyeFacial: {kept['with']} training faces with, {kept['without']} without" in done.err
    labels = load_data("synthetic:40", image_size=16).with_attributes(["Eyeglasses", "Facial_Hair"])
    have = int(labels.labels[labels.indices("train")].any(axis=1).sum())
    assert (kept["with"], kept["seed"], kept["negatives"]) == (have, 3, 0.5)
    assert kept["without"] == min(round(0.5 * have), kept["without_in_source"])


def test_a_run_goes_on_only_with_the_faces_of_its_set(command: Command, tmp_path: Path) -> None:
    assert command(*with_set(tmp_path / "run", "Eye")).status == 0
    before = {k: v for k, v in contents(tmp_path / "run").items() if "tensorboard" not in k}
    more = ("--resume", "--images", 32)
    other = command(*with_set(tmp_path / "run", "Eye", "--set", "negatives=0.5", *more)).error
    assert "trained on the set Eye with 1 without for each (seed 0), not on the set Eye with 0.5 without" in other
    arguments = train_arguments(tmp_path / "run", images=32)
    arguments[arguments.index("Smiling")] = "Eyeglasses"
    assert "not on all training faces: give the same --attribute-set" in command(*arguments, "--resume").error
    assert {k: v for k, v in contents(tmp_path / "run").items() if "tensorboard" not in k} == before
    again = command(*with_set(tmp_path / "run", "Eye", *more))
    assert again.status == 0, again.err
    assert read_description(tmp_path / "run" / "last")["training"]["images"] == 32


def test_python_trains_on_a_set_too(drawn: Faces, tmp_path: Path) -> None:
    model = visagist.train("ifcvae-gan", drawn, attribute_set="Facial", out=tmp_path / "run", images=16, settings=SMALL)
    balance = read_description(model)["data"]["balance"]
    assert balance["attribute_set"] == "Facial"
    have = drawn.column("Facial_Hair")[drawn.indices("train")]
    assert (balance["with"], balance["without"]) == (have.sum(), min(have.sum(), (1 - have).sum()))
    assert set(drawn.split.tolist()) == {0, 1, 2}


def test_what_to_learn_is_said_once(command: Command, tmp_path: Path) -> None:
    both = command(*train_arguments(tmp_path / "run"), "--attribute-set", "EyeFacial").error
    assert "--attributes and --attribute-set EyeFacial both say what to learn" in both
    assert "Eyeglasses, Facial_Hair; give one of the two" in both
    assert "did you mean" in command(*with_set(tmp_path / "run", "Facail")).error
    lonely = command(*train_arguments(tmp_path / "run"), "--set", "negatives=2").error
    assert "none is named: add --attribute-set" in lonely
    assert "negatives is -1: give more than 0" in command(*with_set(tmp_path / "run", "Eye", "--set", "negatives=-1")).error
    assert not (tmp_path / "run").exists()


def test_a_model_of_no_beard_does_not_edit_facial_hair(drawn: Faces, tmp_path: Path) -> None:
    given = {"attributes": ["No_Beard"], "images": 8, "settings": SMALL, "calibrate": False}
    model = visagist.train("ifcvae-gan", drawn, out=tmp_path / "run", **given)  # type: ignore[arg-type]
    with pytest.raises(VisagistError, match="no attribute 'Facial_Hair' in"):
        Editor.from_pretrained(model, "cpu").edit(drawn.images[:1], Facial_Hair=1)


def test_a_recipe_names_a_set_and_what_is_given_goes_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = recipes.get("ifcvae-gan/table3-ours")
    set_recipe = replace(first, name="on-a-set", attributes=(), attribute_set="Facial", negatives=2.0)
    monkeypatch.setattr("visagist.recipes.ifcvae_gan.RECIPES", (first, set_recipe))

    def plan(**given: object) -> tuple[object, ...]:
        found = make_plan("ifcvae-gan", recipe="on-a-set", **given)  # type: ignore[arg-type]
        return found.attributes, found.attribute_set, found.data.negatives

    assert plan() == (("Facial_Hair",), "Facial", 2.0)
    assert plan(attribute_set="Eye") == (("Eyeglasses",), "Eye", 2.0)
    assert plan(settings={"negatives": "0.5"}) == (("Facial_Hair",), "Facial", 0.5)
    assert plan(attributes=["Smiling"]) == (("Smiling",), None, None)
    listed = make_plan("ifcvae-gan", recipe=first.name, attribute_set="Facial")
    assert (listed.attributes, listed.attribute_set) == (("Facial_Hair",), "Facial")


def test_data_check_counts_what_a_set_keeps(command: Command) -> None:
    asked = ("data", "check", "synthetic:40", "--image-size", 16, "--attribute-set", "Facial")
    kept = json.loads(command(*asked, "--negatives", 0.5, "--json").out)["attribute_set"]
    assert kept["without"] == round(0.5 * kept["with"])
    text = command(*asked).out
    assert "Facial_Hair is derived: not No_Beard" in text
    assert "training on Facial: " in text
