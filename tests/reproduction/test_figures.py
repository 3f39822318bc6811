"""What a column of a published figure shows of an edit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import tiny_model

from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.extractors.landmark_detectors import Finds
from visagist.faces.pose import HEAD
from visagist.methods.residual_gan import ResidualGAN
from visagist.reproduction import figures
from visagist.reproduction.figures import _edit_by, draw_poses, draw_sheet
from visagist.reproduction.spec import Column, Poses, Sheet


def test_a_residual_column_is_grey_where_an_edit_adds_nothing() -> None:
    model = tiny_model(ResidualGAN).eval()
    model.adds.layers[-1].weight.data.zero_()
    model.adds.layers[-1].bias.data.copy_(model.adds.layers[-1].bias.new_tensor([0.2, 0.0, -0.1]))
    editor = Editor(model, name="reddens")
    images = np.full((2, 16, 16, 3), 100, np.uint8)
    shown = _edit_by(editor, Column("residual", "any", {"Smiling": 1}, shown="residual"), images)
    assert shown[..., 0].min() == 255  # the largest change is drawn in full
    assert set(np.unique(shown[..., 1])) <= {127, 128}
    assert abs(int(shown[0, 0, 0, 2]) - 64) <= 1  # half of it, the other way
    np.testing.assert_array_equal(_edit_by(editor, Column("edited", "any", {"Smiling": 1}), images)[0, 0, 0], [151, 100, 74])


def test_a_sheet_has_a_line_for_each_face_of_its_class(faces_of: Callable[..., Faces]) -> None:
    faces = faces_of(30, val=2, test=20, attributes=("Smiling",))
    editor = Editor(tiny_model(ResidualGAN).eval(), name="any")
    columns = (Column("edited", "one", {"Smiling": 1}), Column("residual", "one", {"Smiling": 1}, shown="residual"))
    drawn = draw_sheet(Sheet("added", {"Smiling": 0}, columns, 3), {"one": editor}, {"one": faces}, 0)
    single = draw_sheet(Sheet("added", {"Smiling": 0}, columns, 1), {"one": editor}, {"one": faces}, 0)
    assert drawn.image is not None
    assert single.image is not None
    assert (drawn.image.width, drawn.image.height) == (single.image.width, 3 * single.image.height)


def points_of(angle: float) -> np.ndarray:
    """Landmarks [5, 2] of the generic head turned by so many degrees."""
    turned = np.radians(angle)
    x = HEAD[:, 0] * np.cos(turned) + HEAD[:, 2] * np.sin(turned)
    return np.stack([8 + 2 * x, 5 + 2 * HEAD[:, 1]], 1)


def written_in_the_corner(images: torch.Tensor) -> torch.Tensor:
    """A detector of a world where the first pixel says by how many degrees a face is turned; from 200 on it finds none."""
    angles = (images[:, 0, 0, 0] * 255).round().double() - 100
    found = [points_of(float(angle)) if angle < 100 else np.full((5, 2), np.nan) for angle in angles]
    return torch.from_numpy(np.stack(found))


def test_turned_faces_are_found_and_drawn_the_farthest_first(faces_of: Callable[..., Faces]) -> None:
    faces = faces_of(30, val=2, test=20, attributes=("Smiling",))
    images = faces.images.copy()
    images[:, 0, 0, 0] = 100
    labelled = faces.indices("test")[faces.column("Smiling")[faces.indices("test")] == 1]
    for row, angle in zip(labelled, (-40, 25, 150, 60)):
        images[row, 0, 0, 0] = 100 + angle
    images[0, 0, 0, 0] = 190  # of the training split
    editor = Editor(tiny_model(ResidualGAN).eval(), name="any")
    asked, seen = Poses("turned", "one", {"Smiling": 1}, {"Smiling": 0}, 2), replace(faces, images=images)
    drawn = draw_poses(asked, editor, seen, written_in_the_corner, 0)
    assert drawn.image is not None
    assert drawn.words.endswith(f"{faces.files[labelled[3]]} +60°, {faces.files[labelled[0]]} -40°")
    assert f"of {len(labelled) - 1} whose landmarks are known (by a detector) among {len(labelled)}" in drawn.words
    one = draw_poses(replace(asked, number=1), editor, seen, written_in_the_corner, 0)
    assert one.image is not None
    assert drawn.image.height == 2 * one.image.height
    own = replace(seen, landmarks=np.stack([points_of(i) for i in range(30)]).astype(np.float32))
    told = draw_poses(asked, editor, own, written_in_the_corner, 0)
    assert "(by the source)" in told.words
    assert told.words.endswith(f"+{labelled[-1]}°, {faces.files[labelled[-2]]} +{labelled[-2]}°")


def test_an_installed_detector_finds_what_the_source_does_not_tell(
    faces_of: Callable[..., Faces], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed:
        def __init__(self, name: str) -> None:
            self.name = name

        def aimed(self, crop: str | None) -> Installed:
            return Installed(f"{self.name} at {crop}")

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            assert self.name == "ert68 at centre148"
            return torch.from_numpy(np.stack([points_of(30.0)] * len(images)))

    monkeypatch.setattr(figures, "load_detectors", lambda names: [Installed(name) for name in names])
    faces = faces_of(30, val=2, test=20, attributes=("Smiling",))
    faces = replace(faces, manifest={**faces.manifest, "crop": "centre148"})
    editor = Editor(tiny_model(ResidualGAN).eval(), name="any")
    drawn = draw_poses(Poses("turned", "one", {"Smiling": 1}, {"Smiling": 0}, 2), editor, faces, None, 0)
    assert drawn.image is not None
    assert drawn.words.endswith("+30°")


def test_turned_faces_that_cannot_be_found_say_what_they_need(
    faces_of: Callable[..., Faces], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(names: Sequence[str]) -> list[Finds]:
        raise VisagistError("dlib is not installed")

    monkeypatch.setattr(figures, "load_detectors", missing)
    faces = faces_of(30, val=2, test=20, attributes=("Smiling",))
    editor = Editor(tiny_model(ResidualGAN).eval(), name="any")
    asked = Poses("turned", "one", {"Smiling": 1}, {"Smiling": 0})

    def blind(images: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images), 5, 2), torch.nan)

    assert draw_poses(asked, editor, faces, None, 0).words.endswith("(dlib is not installed)")
    assert "whose landmarks are known" in draw_poses(asked, editor, faces, blind, 0).words
    other = draw_poses(replace(asked, start={"Eyeglasses": 1}), editor, faces, blind, 0)
    assert other.words == "not run: needs faces labelled Eyeglasses"
    assert other.image is None
