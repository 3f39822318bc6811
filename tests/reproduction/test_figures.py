"""What a column of a published figure shows of an edit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tiny_models import tiny_model
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.methods.residual_gan import ResidualGAN
from visagist.reproduction import Column, Sheet
from visagist.reproduction.figures import _made, draw_sheet


def test_a_residual_column_is_grey_where_an_edit_adds_nothing() -> None:
    model = tiny_model(ResidualGAN).eval()
    model.adds.layers[-1].weight.data.zero_()
    model.adds.layers[-1].bias.data.copy_(model.adds.layers[-1].bias.new_tensor([0.2, 0.0, -0.1]))
    editor = Editor(model, name="reddens")
    images = np.full((2, 16, 16, 3), 100, np.uint8)
    shown = _made(editor, Column("residual", "any", {"Smiling": 1}, shown="residual"), images)
    assert shown[..., 0].min() == 255  # the largest change is drawn in full
    assert set(np.unique(shown[..., 1])) <= {127, 128}
    assert abs(int(shown[0, 0, 0, 2]) - 64) <= 1  # half of it, the other way
    np.testing.assert_array_equal(_made(editor, Column("edited", "any", {"Smiling": 1}), images)[0, 0, 0], [151, 100, 74])


def test_a_sheet_has_a_line_for_each_face_of_its_class(faces_of: Callable[..., Faces]) -> None:
    faces = faces_of(30, val=2, test=20, attributes=("Smiling",))
    editor = Editor(tiny_model(ResidualGAN).eval(), name="any")
    columns = (Column("edited", "one", {"Smiling": 1}), Column("residual", "one", {"Smiling": 1}, shown="residual"))
    drawn = draw_sheet(Sheet("added", {"Smiling": 0}, columns, 3), {"one": editor}, {"one": faces}, 0)
    single = draw_sheet(Sheet("added", {"Smiling": 0}, columns, 1), {"one": editor}, {"one": faces}, 0)
    assert drawn.image is not None
    assert single.image is not None
    assert (drawn.image.width, drawn.image.height) == (single.image.width, 3 * single.image.height)
