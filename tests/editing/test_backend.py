"""An `Editor` over a model that is no torch method: numpy alone, in its pixels and in its code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edited_toys import tiny_method
from PIL import Image
from portraits import portrait_photo
from torch import Tensor

from visagist.editing.backend import Backend
from visagist.editing.contact_sheets import strip
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.latent.interpolation import interpolate_faces
from visagist.methods.base import Code

SIZE = 16


class Reddener(Backend):
    """Smiling turns the red channel of a face up or down by the amount; the code is every pixel."""

    name, attributes, image_size, paper_amount = "reddener", ("Smiling",), SIZE, 0.5
    capabilities = frozenset({"autoencode", "edit", "classify"})
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.passes = 0

    def to(self, device: torch.device) -> None:
        assert device.type == "cpu"

    def encode(self, images: Tensor) -> Code:
        self.passes += 1
        return Code(torch.from_numpy(np.array(images.numpy().reshape(len(images), -1))))

    def decode(self, code: Code) -> Tensor:
        return torch.from_numpy(code.z.numpy().reshape(-1, 3, SIZE, SIZE))

    def edit(self, images: Tensor, settings: Sequence[Any]) -> list[Tensor]:
        faces = self.decode(self.encode(images)).numpy()
        return [torch.from_numpy(faces if setting is None else self._redden(faces, *setting)) for setting in settings]

    def classify(self, images: Tensor) -> Tensor:
        return torch.from_numpy(images.numpy()[:, 0].mean((1, 2))[:, None])

    @staticmethod
    def _redden(faces: np.ndarray, target: Tensor, amount: Tensor) -> np.ndarray:
        edited, share = faces.copy(), amount.numpy()[:, :, None]
        edited[:, 0] = (1 - share) * faces[:, 0] + share * target.numpy()[:, :, None]
        return edited


@pytest.fixture
def editor() -> Editor:
    return Editor(Reddener(), device="cpu")


def grey(count: int = 3, level: int = 100) -> np.ndarray:
    return np.full((count, SIZE, SIZE, 3), level, np.uint8)


def test_faces_are_edited_in_both_modes_and_come_back_as_they_went_in(editor: Editor) -> None:
    assert (editor.edit(grey(), Smiling=1)[..., 0] == 255).all()
    assert (editor.edit(grey(), Smiling=1)[..., 1:] == 100).all()
    assert (editor.edit(grey(), Smiling=-1)[..., 0] == 0).all()
    large = Image.new("RGB", (48, 48), (100, 100, 100))
    assert editor.edit(large, mode="detail", Smiling=1).getpixel((24, 24)) == (255, 100, 100)
    np.testing.assert_array_equal(editor.edit(grey(), Smiling=0), editor.reconstruct(grey()))


def test_batches_give_what_one_pass_gives(editor: Editor) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (7, SIZE, SIZE, 3), np.uint8)
    np.testing.assert_array_equal(
        editor.edit(faces, batch_size=2, Smiling=0.4), editor.edit(faces, batch_size=7, Smiling=0.4)
    )


def test_several_settings_encode_once(editor: Editor) -> None:
    settings = [(np.ones(1), np.full(1, amount)) for amount in (0.0, 0.5, 1.0)]
    levels = [faces[0, 0, 0, 0] for faces in editor.edits_of_arrays(grey(), settings)]
    assert levels == [100, 178, 255]
    assert editor.backend.passes == 1  # type: ignore[attr-defined]


def test_a_photograph_is_edited_in_place(editor: Editor) -> None:
    photo, points = portrait_photo((420, 360), 1.5, 10)
    edited = np.asarray(editor.edit_photo(photo, Smiling=1).image)
    x, y = points.mean(0).round().astype(int)
    assert edited[y, x, 0] > photo[y, x, 0] + 20
    np.testing.assert_array_equal(edited[:5], photo[:5])


def test_a_strip_a_residual_and_a_reading_are_made(editor: Editor) -> None:
    assert strip(editor, grey(1), "Smiling", strengths=(-1, 1)).width > 4 * 128
    np.testing.assert_allclose(editor.residual(grey(), Smiling=1)[..., 0], 155 / 255, atol=1e-6)
    np.testing.assert_allclose(editor.classify(grey())["Smiling"], 100 / 255, atol=1e-6)


def test_work_in_codes_knows_the_backend_alone(editor: Editor) -> None:
    ways = interpolate_faces(editor, [grey(1, 0)[0], grey(1, 200)[0]], 3)
    assert ways[0, :, 0, 0, 0].tolist() == [0, 100, 200]


def test_what_it_cannot_do_is_refused_by_name(editor: Editor, tmp_path: Path) -> None:
    assert editor.can("edit")
    assert not editor.can("generate")
    with pytest.raises(VisagistError, match="cannot generate: it can autoencode, classify, edit"):
        editor.sample(2)
    with pytest.raises(VisagistError, match="no torch method, which saving needs"):
        editor.save(tmp_path / "model")


def test_the_old_way_to_the_torch_method_names_the_new_one() -> None:
    editor = Editor(tiny_method())
    with pytest.warns(DeprecationWarning, match=r"use Editor.can and Editor.backend, or Editor.backend.method"):
        assert editor.method is editor.backend.method  # type: ignore[attr-defined]
    with pytest.warns(DeprecationWarning, match=r"Editor.backend.trained_method"):
        assert editor.trained is editor.backend.trained_method  # type: ignore[attr-defined]
