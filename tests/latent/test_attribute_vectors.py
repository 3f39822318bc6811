"""Attribute vectors: from the definition, stored with a model, and used as its edits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_runs import DRAWN, TINY, Command
from tiny_faces import make_faces
from tiny_models import tiny_model

from visagist import Editor, VisagistError
from visagist.checkpoints.checkpoint import describe, read_description, save_model
from visagist.data.faces import Faces
from visagist.latent.attribute_vectors import fit_vectors, read_vectors, write_vectors
from visagist.latent.direction_method import FAR, LENGTHS, NEAR
from visagist.latent.direction_types import Codes
from visagist.methods.base import Code
from visagist.methods.cvae_gan import CVAEGAN
from visagist.methods.dcgan import DCGAN
from visagist.methods.vae import VAE

PAIR = ("Smiling", "Young")


def faces_of(count: int = 60) -> Faces:
    return make_faces(count, attributes=PAIR, val=10, test=10)


def codes_like(z: np.ndarray, faces: Faces) -> Any:
    return lambda rows: Codes(z[rows], np.asarray(faces.labels[rows]), faces.names, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tiny_model(VAE, PAIR)
    save_model(tmp_path / "vae", describe(model, crop=None), model.state_dict())
    return tmp_path / "vae"


def test_a_vector_is_the_difference_of_the_mean_codes_of_the_training_faces() -> None:
    faces = faces_of()
    z = np.random.default_rng(0).normal(size=(len(faces), 4))
    found = fit_vectors(faces, codes_like(z, faces), PAIR)
    assert [vector.attribute for vector in found] == list(PAIR)
    train = faces.split == 0
    for vector in found:
        present = faces.column(vector.attribute).astype(bool)
        expected = z[train & present].mean(0) - z[train & ~present].mean(0)
        np.testing.assert_allclose(vector.vector * vector.length, expected)
        assert (vector.n_with, vector.n_without) == (int((train & present).sum()), int((train & ~present).sum()))


def test_so_many_faces_of_each_class_serve_and_no_more() -> None:
    faces, asked = faces_of(), []
    z = np.random.default_rng(0).normal(size=(len(faces), 4))

    def encode(rows: np.ndarray) -> Codes:
        asked.extend(rows.tolist())
        return Codes(z[rows], np.asarray(faces.labels[rows]), faces.names, 0)

    (vector,) = fit_vectors(faces, encode, ("Smiling",), number=5, seed=3)
    assert (vector.n_with, vector.n_without) == (5, 5)
    assert len(asked) == len(set(asked)) == 10
    (other,) = fit_vectors(faces, encode, ("Smiling",), number=5, seed=4)
    assert not np.allclose(vector.vector, other.vector)


def test_vectors_need_both_classes_and_a_face() -> None:
    faces = faces_of()
    z = np.zeros((len(faces), 4))
    with pytest.raises(VisagistError, match="at least 1 face of each class, got 0"):
        fit_vectors(faces, codes_like(z, faces), PAIR, number=0)
    with pytest.raises(VisagistError, match="no rule of attribute vectors 'towards': did you mean toward"):
        fit_vectors(faces, codes_like(z, faces), PAIR, rule="towards")
    faces.labels[:, 0] = 1
    with pytest.raises(VisagistError, match="training faces are Smiling=1: a vector needs both classes"):
        fit_vectors(faces, codes_like(z, faces), PAIR)


def test_a_model_with_vectors_edits_and_one_without_does_not(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    plain = Editor.from_pretrained(folder, "cpu")
    with pytest.raises(VisagistError, match="cannot edit"):
        plain.edit(pixels, Smiling=1)
    faces = faces_of()
    z = np.random.default_rng(1).normal(size=(len(faces), 4))
    write_vectors(folder, fit_vectors(faces, codes_like(z, faces), ("Young",), rule="step"))
    editor = Editor.from_pretrained(folder, "cpu")
    assert editor.attributes == ("Young",)
    (vector,) = read_vectors(read_description(folder))
    assert vector.length is not None
    # Amount 1 / LENGTHS is the paper's alpha = 1: z + v, and z - v toward the class without.
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    for target, sign in ((1, 1), (0, -1)):
        z = plain.backend.encode(x).z + sign * torch.from_numpy(vector.vector * vector.length).float()
        expected = plain.backend.decode(Code(z)).permute(0, 2, 3, 1).detach().numpy() * 255
        got = editor.edit_arrays(pixels, [target], [1 / LENGTHS])
        np.testing.assert_allclose(got, expected, atol=0.51)
    np.testing.assert_array_equal(editor.edit_arrays(pixels, [1], [0]), plain.reconstruct_arrays(pixels))
    assert editor.sample(2).images.shape == (2, 16, 16, 3)


def test_faces_move_to_a_near_place_each_by_itself_then_on_together_and_none_moves_back(folder: Path) -> None:
    faces = faces_of()
    z = np.random.default_rng(1).normal(size=(len(faces), 4))
    (vector,) = fit_vectors(faces, codes_like(z, faces), ("Young",))
    write_vectors(folder, [vector])
    moves = Editor.from_pretrained(folder, "cpu").backend.method
    train, present = faces.split == 0, faces.column("Young").astype(bool)
    means = [z[train & (present == side)].mean(0) for side in (False, True)]
    assert vector.length is not None
    assert vector.middle == pytest.approx(float((means[0] + means[1]) @ vector.vector) / 2)
    v = torch.from_numpy(vector.vector).float()
    near, far = (vector.middle + lengths * vector.length for lengths in (NEAR, FAR))
    own = float(means[0] @ vector.vector)
    between, beyond = (near + far) / 2, far + 1
    starts = torch.stack([torch.from_numpy(means[0]).float(), vector.middle * v, between * v, beyond * v])
    moves.encode = lambda images: Code(starts)  # type: ignore[method-assign]
    moves.decode = lambda code: code.z  # type: ignore[method-assign]

    def moved(amount: float, target: int) -> torch.Tensor:
        return moves.edit(torch.zeros(4), torch.full((4, 1), float(target)), torch.full((4, 1), amount))

    def places(amount: float) -> list[float]:
        return [round(float(place), 4) for place in moved(amount, 1) @ v]

    torch.testing.assert_close(moved(0, 1), starts)
    assert places(0.25) == pytest.approx([(own + near) / 2, (vector.middle + near) / 2, between, beyond], abs=1e-3)
    assert places(0.5) == pytest.approx([near, near, between, beyond], abs=1e-3)
    assert places(0.75) == pytest.approx([between, between, between, beyond], abs=1e-3)
    assert places(0.9) == pytest.approx([near + 0.8 * (far - near)] * 3 + [beyond], abs=1e-3)
    assert places(1) == pytest.approx([far, far, far, beyond], abs=1e-3)
    torch.testing.assert_close(moved(1, 0) @ v, torch.full((4,), vector.middle - FAR * vector.length))
    # What stands for the paper's alpha = 1 moves the mean face of one class to that of the other.
    torch.testing.assert_close(moved(moves.paper_amount, 1)[0], torch.from_numpy(means[1]).float())


def test_matched_classes_have_the_other_labels_alike_and_nothing_of_them_in_the_vector() -> None:
    faces = faces_of(400)
    rng = np.random.default_rng(0)
    faces.labels[:, 0] = rng.random(400) < np.where(faces.column("Young") == 1, 0.8, 0.2)
    z = np.stack([faces.column("Smiling"), faces.column("Young")], 1).astype(float)
    seen: list[int] = []

    def encode(rows: np.ndarray) -> Codes:
        seen.extend(rows.tolist())
        return codes_like(z, faces)(rows)

    (plain,) = fit_vectors(faces, encode, ("Smiling",))
    assert abs(plain.vector[1]) > 0.3
    seen.clear()
    (matched,) = fit_vectors(faces, encode, ("Smiling",), number=50, match=("Young", "Smiling"))
    np.testing.assert_allclose(matched.vector, [1, 0], atol=0.05)
    assert matched.matched == ("Young",)
    rows = np.array(seen)
    young = [faces.column("Young")[rows][faces.column("Smiling")[rows] == side] for side in (0, 1)]
    assert len(young[0]) == len(young[1]) == matched.n_with == matched.n_without
    assert 48 <= len(young[0]) <= 52
    assert young[0].sum() == young[1].sum()
    faces.labels[:, 1] = faces.labels[:, 0]
    with pytest.raises(VisagistError, match="no training face with Smiling is like one without in Young"):
        fit_vectors(faces, encode, ("Smiling",), match=("Young",))


def test_vectors_of_before_there_was_a_middle_move_by_steps(folder: Path) -> None:
    faces = faces_of()
    write_vectors(folder, fit_vectors(faces, codes_like(np.random.default_rng(1).normal(size=(60, 4)), faces), PAIR))
    described = read_description(folder)
    for record in described["vectors"]:
        del record["middle"]
    (folder / "config.json").write_text(json.dumps(described))
    assert Editor.from_pretrained(folder, "cpu").backend.method.paper_amount == 1 / LENGTHS


def test_vectors_go_with_the_model_when_it_is_saved_in_half_precision(folder: Path, tmp_path: Path) -> None:
    faces = faces_of()
    write_vectors(folder, fit_vectors(faces, codes_like(np.random.default_rng(1).normal(size=(60, 4)), faces), PAIR))
    Editor.from_pretrained(folder, "cpu").save(tmp_path / "copy", half=True)
    again = Editor.from_pretrained(tmp_path / "copy", "cpu")
    assert again.attributes == PAIR
    assert again.description["name"] == "vae"


def test_the_command_fits_stores_and_calibrates_them_for_all_of_a_run(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained = command("train", "vae", "--data", DRAWN, "--images", 16, "--device", "cpu", *TINY, "--out", run)
    assert trained.status == 0, trained.err
    assert f"visagist vectors {run} --data" in trained.err.replace("\n", " ")
    fitted = command("vectors", run, "--data", DRAWN, "--attributes", "Smiling,Eyeglasses", "--json")
    assert fitted.status == 0, fitted.err
    assert [record["attribute"] for record in json.loads(fitted.out)] == ["Smiling", "Eyeglasses"]
    for part in ("best", "last"):
        described = read_description(run / part)
        assert [record["attribute"] for record in described["vectors"]] == ["Smiling", "Eyeglasses"]
        assert "Smiling" in described["strength"]
    assert Editor.from_pretrained(run).strength_maps["Smiling"]["+1"].reached is not None


@pytest.mark.parametrize(("cls", "why"), [(CVAEGAN, "has an edit of its own"), (DCGAN, "has no code for attribute vectors")])
def test_a_model_that_edits_or_has_no_code_is_refused(command: Command, tmp_path: Path, cls: Any, why: str) -> None:
    model = tiny_model(cls, PAIR)
    save_model(tmp_path / "m", describe(model, crop=None), model.state_dict())
    assert why in command("vectors", tmp_path / "m", "--data", DRAWN).error


def test_damaged_vectors_are_named_as_such(folder: Path) -> None:
    described = read_description(folder)
    (folder / "config.json").write_text(json.dumps({**described, "vectors": [{"attribute": "Young"}]}))
    with pytest.raises(VisagistError, match=r"attribute vectors are damaged .*: fit them again"):
        Editor.from_pretrained(folder, "cpu")
