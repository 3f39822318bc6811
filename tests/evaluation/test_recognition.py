"""Recognition by SVMs on codes: on worlds where what each code knows is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_runs import DRAWN, TINY, Command
from torch import Tensor

from visagist import Editor, VisagistError, api
from visagist.attributes import CELEBA_ATTRIBUTES
from visagist.data.faces import Faces
from visagist.evaluation.recognition import ALL_VIEWS, MAJORITY, METRICS, recognise
from visagist.evaluation.results import find_metric
from visagist.evaluation.session import EvaluationSettings, session_of
from visagist.methods.base import Code, Method
from visagist.reports.recognition_page import PUBLISHED, published

NAMES = ("Smiling", "Young", "Bald")
SIZE = 16


class Channel(Method):
    """A code that is one colour of the face and nothing else."""

    capabilities = frozenset({"autoencode"})

    def __init__(self, channel: int) -> None:
        super().__init__(None, (), SIZE)
        self.channel = channel

    def config_dict(self) -> dict[str, Any]:
        return {}

    def encode(self, images: Tensor) -> Code:
        return Code(torch.stack([images[:, self.channel].mean((1, 2)), torch.zeros(len(images))], 1))

    def decode(self, code: Code) -> Tensor:
        return code.z[:, :1, None, None].expand(-1, 3, SIZE, SIZE)


Channel.name = "channel"


def faces_of(number: int = 600) -> Faces:
    """Smiling is red, Young is green; one face in ten is Bald, which no colour shows."""
    rng = np.random.default_rng(0)
    labels = np.stack([rng.random(number) < 0.5, rng.random(number) < 0.5, np.arange(number) % 10 == 0], 1)
    images = np.full((number, SIZE, SIZE, 3), 100, np.uint8)
    for channel in (0, 1):
        images[..., channel] = np.where(labels[:, channel], 200, 50)[:, None, None]
    split = (np.arange(number) // 10 % 3).astype(np.uint8)
    return Faces(
        images, labels.astype(np.uint8), NAMES, split, tuple(f"{i}" for i in range(number)), manifest={"source": "x"}
    )


def editor(channel: int) -> Editor:
    return Editor(Channel(channel), {"crop": None}, name=["red", "green"][channel])


class Reader(Channel):
    """It also says that whoever is red smiles, and that nobody is young."""

    capabilities = frozenset({"autoencode", "classify"})

    def __init__(self) -> None:
        super().__init__(0)
        self.attributes = ("Young", "Smiling")

    def classify(self, images: Tensor) -> Tensor:
        return torch.stack([torch.zeros(len(images)), images[:, 0].mean((1, 2))], 1)


def test_a_models_own_classifier_is_a_view_of_what_it_knows() -> None:
    reader = Editor(Reader(), {"crop": None}, name="reader")
    faces, view = faces_of(), "reader, own classifier"
    found = recognise(session_of(reader, faces)).metrics
    assert found.manifest["views"] == [MAJORITY, "reader", view]
    assert found[f"recognition.{view}.Smiling.accuracy"]["value"] == 1
    young = faces.column("Young")[faces.indices("test")]
    assert found[f"recognition.{view}.Young.accuracy"]["value"] == pytest.approx(1 - young.mean())
    assert found[f"recognition.{view}.Young.balanced_accuracy"]["value"] == 0.5
    assert f"recognition.{view}.Bald.accuracy" not in found
    assert f"recognition.{view}.accuracy" not in found


def test_a_view_knows_what_is_in_its_code_and_all_views_know_what_is_in_any(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    session = session_of([editor(0), editor(1)], faces_of())
    found = api.report_recognition(session, out=tmp_path, progress=lambda *told: done.append(told))

    def accuracy(view: str, name: str) -> float:
        return found[f"recognition.{view}.{name}.accuracy"]["value"]

    assert [accuracy("red", "Smiling"), accuracy("green", "Young")] == [1, 1]
    assert max(accuracy("red", "Young"), accuracy("green", "Smiling")) < 0.65
    assert [accuracy(ALL_VIEWS, "Smiling"), accuracy(ALL_VIEWS, "Young")] == [1, 1]
    assert accuracy(ALL_VIEWS, "Bald") == accuracy(MAJORITY, "Bald") == pytest.approx(0.9)
    assert found[f"recognition.{ALL_VIEWS}.Bald.balanced_accuracy"]["value"] == 0.5
    mean = np.mean([accuracy(ALL_VIEWS, name) for name in NAMES])
    assert found[f"recognition.{ALL_VIEWS}.accuracy"]["value"] == pytest.approx(mean)
    parts = [found[f"recognition.{ALL_VIEWS}.{name}.balanced_accuracy"]["value"] for name in NAMES]
    assert found[f"recognition.{ALL_VIEWS}.balanced_accuracy"]["value"] == pytest.approx(np.mean(parts))
    assert all(find_metric(key, METRICS) for key in found.values)
    assert done == [(i, 9) for i in range(1, 10)]
    page = (tmp_path / "recognition.html").read_text()
    assert "all views" in page
    assert "published" not in page.lower().replace("not published", "")
    assert json.loads((tmp_path / "recognition.json").read_text())["manifest"]["models"][0]["latent"] == 2


def test_published_accuracies_stand_beside_those_on_celeba(tmp_path: Path) -> None:
    faces = faces_of()
    faces.manifest["source"] = "celeba:here"
    api.report_recognition(session_of(editor(0), faces), out=tmp_path)
    assert "VAE-WGAN, published" in (tmp_path / "recognition.html").read_text()
    assert published("VAE-WGAN", None) == 88.88
    assert published("VAE-WGAN", "Eyeglasses") == 98
    assert published("VAE-WGAN", "Young") == 84
    assert published("VAE-WGAN", "Facial_Hair") is None
    for row, values in PUBLISHED.items():
        assert len(values) == len(CELEBA_ATTRIBUTES) + 1
        assert np.mean(values[:-1]) == pytest.approx(values[-1], abs=0.011), row


def test_an_attribute_of_one_class_in_training_is_left_out_and_named() -> None:
    faces = faces_of()
    faces.labels[faces.split == 0, 2] = 0
    found = recognise(session_of(editor(0), faces)).metrics
    assert found.not_computed == {"recognition.*.Bald.*": "the training faces are all of one class"}
    assert found.manifest["attributes"] == ["Smiling", "Young"]
    assert ALL_VIEWS not in found.manifest["views"]


def test_what_cannot_be_told_apart_or_was_fitted_on_is_refused() -> None:
    with pytest.raises(VisagistError, match="got red, red: name each once"):
        recognise(session_of([editor(0), editor(0)], faces_of()))
    with pytest.raises(VisagistError, match="the split train says nothing"):
        recognise(session_of(editor(0), faces_of(), EvaluationSettings(split="train")))


def test_the_command_prints_a_row_for_each_view(command: Command, tmp_path: Path) -> None:
    for name in ("one", "two"):
        done = command("train", "vae", "--data", DRAWN, "--images", 8, "--device", "cpu", *TINY, "--out", tmp_path / name)
        assert done.status == 0, done.err
    found = command(
        "recognise", tmp_path / "one", tmp_path / "two", "--data", DRAWN, "--attributes", "Smiling", "--out", tmp_path / "r"
    )
    assert found.status == 0, found.err
    for view in ("commoner answer", "one", "two", "all views"):
        assert view in found.out
    assert (tmp_path / "r" / "recognition.html").exists()


@pytest.mark.parametrize(("limit", "train", "number"), [(0, None, "limit=0"), (-2, None, "limit=-2"), (None, 0, "got 0")])
def test_no_faces_are_refused_in_one_line(limit: int | None, train: int | None, number: str) -> None:
    with pytest.raises(VisagistError, match=f"at least 1 .*{number}"):
        recognise(session_of(editor(0), faces_of(), EvaluationSettings(limit=limit)), train=train)
