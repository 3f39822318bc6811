from __future__ import annotations

import numpy as np
import pytest
import torch
from latent_toys import SIZE, dials, picture_code
from tiny_models import tiny_model

from visagist import methods
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.latent.codes import encode_images
from visagist.latent.traversal import HasPosterior, prior_code, rank_by_faces, rank_by_movement, traverse
from visagist.methods.base import Code

WITH_POSTERIOR = [name for name in sorted(methods.available()) if isinstance(tiny_model(methods.get(name)), HasPosterior)]


def shades(*levels: int) -> np.ndarray:
    return np.stack([np.full((SIZE, SIZE, 3), level, np.uint8) for level in levels])


def sigmoid(x: np.ndarray | float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(x)))


def test_the_one_dimension_that_moves_the_picture_is_first() -> None:
    for moving in range(3):
        editor = Editor(dials(turns=tuple(float(k == moving) for k in range(3))))
        ranking = rank_by_movement(editor, encode_images(editor, shades(100)), 3)
        assert ranking.order[0] == moving
        others = np.delete(ranking.values, moving)
        assert ranking.values[moving] == pytest.approx(((sigmoid(3) - sigmoid(-3)) ** 2), rel=0.01)
        assert others.tolist() == [0, 0]
        assert ranking.active is None


def test_a_row_sets_one_dimension_to_each_value_and_leaves_the_others() -> None:
    editor = Editor(dials(turns=(0.5, -1.0, 0.25)))
    code = Code(torch.tensor([[0.4, -0.7, 2.0]]))
    rows = traverse(editor, code, [1, 2], 2, 5)
    assert rows.shape == (2, 5, SIZE, SIZE, 3)
    for row, dimension in zip(rows, (1, 2)):
        for picture, value in zip(row, (-2, -1, 0, 1, 2)):
            z = code.z[0].numpy().copy()
            z[dimension] = value
            assert abs(picture - 255 * sigmoid(z @ (0.5, -1.0, 0.25))).max() <= 0.5 + 1e-3
    assert code.z.tolist() == [[pytest.approx(0.4), pytest.approx(-0.7), 2.0]]


def test_a_label_stays_as_the_face_has_it() -> None:
    editor = Editor(picture_code(labelled=True))
    face = np.random.default_rng(0).integers(1, 255, (1, 4, 4, 3), dtype=np.uint8)
    rows = traverse(editor, encode_images(editor, face), [0, 1], 3, 3)
    assert (rows[..., 3, 3, 2] == face[0, 0, 0, 0]).all()
    assert rows[0, :, 0, 0, 0].tolist() == [0, 0, 255]  # z itself moved, the label that was read from it did not


def test_kl_is_that_of_gaussians_and_counts_what_is_active() -> None:
    # KL(N(m, s²) ‖ N(0, 1)) = (m² + s² − ln s² − 1) / 2
    editor = Editor(dials(posterior=True, reads=(0.0, 2.0, 0.0), log_var=(0.0, -1.0, -0.1)))
    ranking = rank_by_faces(editor, shades(0, 255))
    expected = [0.0, (0 + 4) / 4 + (np.exp(-1) + 1 - 1) / 2, (np.exp(-0.1) + 0.1 - 1) / 2]
    np.testing.assert_allclose(ranking.values, expected, atol=1e-6)
    assert (ranking.by, ranking.faces, ranking.active) == ("kl", 2, 1)
    assert ranking.order.tolist() == [1, 2, 0]


def test_without_log_variances_the_variance_of_means_is_what_counts() -> None:
    editor = Editor(dials(reads=(0.19, 0.0, 0.5)))
    ranking = rank_by_faces(editor, shades(0, 255))
    np.testing.assert_allclose(ranking.values, [0.19**2 / 4, 0, 0.5**2 / 4], atol=1e-7)
    assert (ranking.by, ranking.active, ranking.order.tolist()) == ("variance", 1, [2, 0, 1])


def test_faces_are_read_in_batches_and_all_of_them_count() -> None:
    editor, told = Editor(dials(reads=(1.0, 0.0, 0.0))), []
    faces = shades(*([0] * 64 + [255] * 64 + [51]))
    ranking = rank_by_faces(editor, faces, lambda done, of: told.append((done, of)))
    bright = np.array([0.0] * 64 + [1.0] * 64 + [0.2])
    assert ranking.values[0] == pytest.approx(bright.var(), abs=1e-6)
    assert told == [(64, 129), (128, 129), (129, 129)]


def test_the_paper_methods_give_their_posterior() -> None:
    assert {"ifcvae-gan", "cvae-gan", "vac", "introvac"} <= set(WITH_POSTERIOR)


@pytest.mark.parametrize("name", WITH_POSTERIOR)
def test_a_posterior_has_the_code_as_its_mean(name: str) -> None:
    model, images = tiny_model(methods.get(name)).eval(), torch.rand(3, 3, 16, 16)
    with torch.inference_mode():
        mu, log_var = model.posterior(images)
        torch.testing.assert_close(mu, model.encode(images).z)
    assert log_var.shape == mu.shape
    assert log_var.abs().max() <= 10


def test_a_code_of_the_prior_is_a_function_of_the_seed() -> None:
    editor = Editor(picture_code(labelled=True, image_size=16))
    torch.manual_seed(5)
    first = prior_code(editor, 1)
    assert torch.equal(first.z, prior_code(editor, 1).z)
    assert not torch.equal(first.z, prior_code(editor, 2).z)
    assert first.z.shape == (1, 768)
    assert abs(float(first.z.mean())) < 0.15
    assert float(first.z.std()) == pytest.approx(1, abs=0.1)
    assert {float(prior_code(editor, seed).y) for seed in range(20)} == {0.0, 1.0}
    assert prior_code(Editor(picture_code()), 1).y is None


def test_what_cannot_be_traversed_is_refused() -> None:
    editor = Editor(dials())
    code = encode_images(editor, shades(100))
    with pytest.raises(VisagistError, match="1 steps has no two ends"):
        traverse(editor, code, [0], steps=1)
    for reach in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(VisagistError, match="give a number above 0"):
            traverse(editor, code, [0], reach)
    with pytest.raises(VisagistError, match="has latent dimensions 0 to 2, got 3"):
        traverse(editor, code, [0, 3])
    with pytest.raises(VisagistError, match="got none"):
        traverse(editor, code, [])
    with pytest.raises(VisagistError, match="at least 2 faces, got 1"):
        rank_by_faces(editor, shades(100))
    with pytest.raises(VisagistError, match="image_size=8"):
        rank_by_faces(editor, shades(100, 200)[:, :4, :4])
    with pytest.raises(VisagistError, match="does not generate from a prior: give a face"):
        prior_code(editor)
    editor.backend.method.capabilities = frozenset()  # type: ignore[misc]
    with pytest.raises(VisagistError, match="has no code for traversal: it can nothing of the kind"):
        rank_by_faces(editor, shades(100, 200))
