"""Edits along directions, and directions in files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from edited_toys import BrightnessJudge, Painter, PainterConfig, tiny_method
from latent_toys import linear_toy
from safetensors.numpy import save_file
from tiny_faces import make_faces
from tiny_models import tiny_model

from visagist import methods
from visagist.data.faces import Faces
from visagist.editing.direction_editor import (
    DirectionEditor,
    load_directions,
    save_directions,
    training_codes,
    with_strength,
)
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.latent.direction_method import RANGE, STEP
from visagist.latent.direction_types import Direction
from visagist.latent.directions import fit_directions
from visagist.methods.base import Code, Method
from visagist.pixels import to_float


class Channels(Painter):
    """z [B, 3] is the mean of each channel, and the picture that of z."""

    capabilities = frozenset({"autoencode"})

    def encode(self, images: torch.Tensor) -> Code:
        return Code(images.mean((2, 3)))

    def decode(self, code: Code) -> torch.Tensor:
        return code.z[:, :, None, None].expand(-1, 3, self.image_size, self.image_size)


def channels() -> Editor:
    return Editor(Channels(PainterConfig(), ("Smiling", "Eyeglasses"), 16), name="channels")


def shaded(count: int = 60) -> Faces:
    """Faces whose channel i is brighter by 0.4 with attribute i, of which every third validates, every fourth tests."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, (count, 2), dtype=np.uint8)
    levels = np.concatenate([0.3 + 0.4 * labels, np.full((count, 1), 0.5)], 1) + draw.uniform(-0.05, 0.05, (count, 3))
    images = np.broadcast_to(np.rint(255 * levels)[:, None, None], (count, 16, 16, 3)).astype(np.uint8)
    split = np.where(np.arange(count) % 3 == 1, 1, np.where(np.arange(count) % 4 == 3, 2, 0)).astype(np.uint8)
    return Faces(images, labels, ("Smiling", "Eyeglasses"), split, tuple(f"{i}.png" for i in range(count)))


def fitted(editor: Editor, faces: Faces, attribute: str = "Smiling", kind: str = "mean") -> Direction:
    return fit_directions(editor.backend.method, training_codes(editor, faces), [attribute], (), [kind])[0]


@pytest.mark.parametrize("name", ["ifcvae-gan", "cvae-gan", "vac", "introvac"])
def test_an_edit_decodes_the_moved_code_and_keeps_the_label_of_any_model(name: str) -> None:
    method = tiny_method() if name == "ifcvae-gan" else tiny_model(methods.get(name)).eval()
    editor, faces = Editor(method), make_faces()
    direction = fitted(editor, faces, kind="logistic")
    along = DirectionEditor(editor, [direction])
    test = faces.images[faces.indices("test")]
    with torch.inference_mode():
        code = method.encode(to_float(torch.from_numpy(test), torch.device("cpu")))
        move = torch.from_numpy(direction.vector).float() * direction.unit * RANGE
        for target, sign in ((1, 1), (0, -1)):
            pixels = method.decode(Code(code.z + sign * 0.5 * move, code.y)).permute(0, 2, 3, 1).numpy()
            edited = along.edit_arrays(test, [target], [0.5])
            np.testing.assert_allclose(edited / 255, pixels, atol=0.51 / 255)
            assert (edited != along.reconstruct_arrays(test)).any()
    np.testing.assert_array_equal(along.edit(test, Smiling=0), editor.reconstruct_arrays(test))


def test_the_end_of_the_range_and_the_equal_step_are_in_units_of_the_codes() -> None:
    editor, faces = channels(), shaded()
    direction = fitted(editor, faces)
    along = DirectionEditor(editor, [replace(direction, unit=0.01)])
    start = np.full((1, 16, 16, 3), 128, np.uint8)
    for amount, length in ((1.0, 0.01 * RANGE), (along.backend.paper_amount, 0.01 * STEP)):
        moved = along.edit_arrays(start, [1], [amount])[0, 0, 0] / 255 - 128 / 255
        np.testing.assert_allclose(moved, length * direction.vector, atol=1 / 255)


def test_several_directions_add_up() -> None:
    editor, faces = channels(), shaded()
    both = DirectionEditor(editor, [fitted(editor, faces), fitted(editor, faces, "Eyeglasses")])
    assert both.attributes == ("Smiling", "Eyeglasses")
    grey = np.full((1, 16, 16, 3), 128, np.uint8)
    moved = [both.edit_arrays(grey, target, amount).astype(int) - 128 for target, amount in (
        ([1, 0], [0.1, 0]), ([0, 0], [0, 0.1]), ([1, 0], [0.1, 0.1]),
    )]  # fmt: skip
    np.testing.assert_allclose(moved[0] + moved[1], moved[2], atol=1)


def test_a_calibrated_direction_brings_the_median_face_to_the_class() -> None:
    editor, faces, judge = channels(), shaded(200), BrightnessJudge(attributes=("Smiling", "Eyeglasses"))
    direction = with_strength(editor, fitted(editor, faces), judge, faces, 50)
    assert direction.strength is not None
    assert [direction.strength[way]["reached"] for way in ("+1", "-1")] == [True, True]
    along = DirectionEditor(editor, [direction])
    rows = faces.indices("val")
    without = rows[faces.column("Smiling")[rows] == 0][:50]
    edited = along.edit(faces.images[without], Smiling=1)
    assert np.median(edited[..., 0]) / 255 == pytest.approx(0.7, abs=0.03)
    with pytest.raises(VisagistError, match="never calibrates"):
        with_strength(editor, direction, BrightnessJudge("judge-64"), faces, 50)


def test_codes_are_those_of_training_faces_only_and_drawn_by_the_seed() -> None:
    editor, faces = channels(), shaded()
    everything = training_codes(editor, faces)
    rows = faces.indices("train")
    np.testing.assert_allclose(everything.z, faces.images[rows].mean((1, 2)) / 255, atol=1e-6)
    np.testing.assert_array_equal(everything.labels, faces.labels[rows])
    some = [training_codes(editor, faces, 10, seed) for seed in (0, 0, 1)]
    assert [len(codes.z) for codes in some] == [10, 10, 10]
    np.testing.assert_array_equal(some[0].z, some[1].z)
    assert (some[0].z != some[2].z).any()
    other = replace(faces, images=np.where(faces.split[:, None, None, None] == 0, faces.images, 0))
    np.testing.assert_array_equal(training_codes(editor, other).z, everything.z)
    told: list[int] = []
    training_codes(editor, faces, progress=told.append)
    assert sum(told) == len(rows)


def test_saved_directions_edit_as_they_did(tmp_path: Path) -> None:
    editor, faces, judge = channels(), shaded(200), BrightnessJudge(attributes=("Smiling", "Eyeglasses"))
    plain, bare = fit_directions(editor.backend.method, training_codes(editor, faces), ["Smiling"], ["Eyeglasses"], ["lda"])
    directions = [with_strength(editor, direction, judge, faces, 20) for direction in (plain, bare)]
    path = save_directions(tmp_path / "new" / "directions.safetensors", directions, None)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    for before, after in zip(directions, load_directions(path, None)):
        np.testing.assert_allclose(after.vector, before.vector, atol=1e-7)
        assert replace(after, vector=before.vector) == before
    again = DirectionEditor.from_file(path, editor, "lda", ["Eyeglasses"])
    images = faces.images[faces.indices("test")]
    np.testing.assert_array_equal(
        again.edit(images, Smiling=-1), DirectionEditor(editor, [directions[1]]).edit(images, Smiling=-1)
    )


def test_directions_of_another_model_and_damaged_files_are_refused(tmp_path: Path) -> None:
    editor, faces = channels(), shaded()
    path = save_directions(tmp_path / "directions.safetensors", [fitted(editor, faces)], "aa")
    with pytest.raises(VisagistError, match="those of another model"):
        load_directions(path, "bb")
    with pytest.raises(VisagistError, match="no file"):
        load_directions(tmp_path / "nothing", None)
    (tmp_path / "text").write_text("not tensors")
    with pytest.raises(VisagistError, match="cannot read"):
        load_directions(tmp_path / "text", None)
    save_file({"a": np.zeros(2)}, tmp_path / "other")
    with pytest.raises(VisagistError, match="no file of directions"):
        load_directions(tmp_path / "other", None)
    notes = {"format": "visagist directions 1", "weights_sha256": "", "directions": '[{"tensor": "a"}]'}
    save_file({"a": np.zeros(2)}, tmp_path / "short", notes)
    with pytest.raises(VisagistError, match="damaged"):
        load_directions(tmp_path / "short", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(VisagistError, match="cannot write"):
        save_directions(tmp_path / "file" / "directions.safetensors", [fitted(editor, faces)], None)


def test_a_kind_or_an_attribute_that_a_file_has_not_is_said_with_what_it_has(tmp_path: Path) -> None:
    editor = channels()
    path = save_directions(tmp_path / "directions.safetensors", [fitted(editor, shaded())], None)
    with pytest.raises(VisagistError, match="no direction by svm given Male: it has Smiling by mean"):
        DirectionEditor.from_file(path, editor, "svm", ["Male"])
    with pytest.raises(VisagistError, match="no direction by mean of Eyeglasses: it has Smiling by mean"):
        DirectionEditor.from_file(path, editor, "mean", attributes=["Eyeglasses"])


def test_what_no_direction_can_move_is_refused(tmp_path: Path) -> None:
    editor, faces = channels(), shaded()
    direction = fitted(editor, faces)

    class Dreamer(Method):
        capabilities = frozenset({"generate"})
        Config = PainterConfig

    Dreamer.name = "dreamer"  # after the class is made, so that it is not registered
    with pytest.raises(VisagistError, match="has no code for directions: it can generate"):
        DirectionEditor(Editor(Dreamer(PainterConfig(), ("Smiling",), 16), {}), [direction])
    with pytest.raises(VisagistError, match=r"has \[3\] numbers, codes of linear-toy have 6"):
        DirectionEditor(Editor(linear_toy(), {}), [direction])
    with pytest.raises(VisagistError, match="one direction for each attribute, got Smiling, Smiling"):
        DirectionEditor(editor, [direction, direction])
    with pytest.raises(VisagistError, match="got none"):
        DirectionEditor(editor, [])
    with pytest.raises(VisagistError, match=r"Editor.from_pretrained; give that to DirectionEditor.from_file"):
        DirectionEditor.from_pretrained("some-model")
    with pytest.raises(VisagistError, match="save them with save_directions"):
        DirectionEditor(editor, [direction]).save(tmp_path / "model")
    with pytest.raises(VisagistError, match="at least 2 training faces"):
        training_codes(editor, faces, 1)
    with pytest.raises(VisagistError, match="image_size=16"):
        training_codes(editor, replace(faces, images=faces.images[:, :8, :8]))
