from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from latent_toys import picture_code

from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.latent.interpolation import WAYS, interpolate_faces, linear, spherical

SHARES = torch.linspace(0, 1, 5)


def code(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("way", [linear, spherical])
def test_a_way_has_its_shape_and_its_ends_exactly(way: object) -> None:
    for shape in ((6,), (3, 6)):
        first, second = code(*shape, seed=1), code(*shape, seed=2)
        found = way(first, second, SHARES)  # type: ignore[operator]
        assert found.shape == (5, *shape)
        assert torch.equal(found[0], first)
        assert torch.equal(found[-1], second)


def test_a_straight_way_has_its_middle_in_the_middle() -> None:
    first, second = code(6, seed=1), code(6, seed=2)
    torch.testing.assert_close(linear(first, second, SHARES)[2], (first + second) / 2)


def test_an_arc_between_axes_goes_by_what_geometry_says() -> None:
    found = spherical(torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0]), torch.tensor([1 / 3, 0.5]))
    expected = torch.tensor([[3**0.5, 1.0], [2**0.5, 2**0.5]])
    torch.testing.assert_close(found, expected)


@given(st.integers(0, 10_000), st.integers(2, 300))
def test_an_arc_keeps_equal_norms_and_a_straight_way_passes_below_it(seed: int, latent: int) -> None:
    first, second = code(latent, seed=seed), code(latent, seed=seed + 1)
    second = second * first.norm() / second.norm()
    torch.testing.assert_close(spherical(first, second, SHARES).norm(dim=1), first.norm().expand(5), rtol=1e-4, atol=0)
    half = 0.5 * torch.arccos((first @ second / first.norm() ** 2).clamp(-1, 1))
    torch.testing.assert_close(linear(first, second, SHARES)[2].norm(), first.norm() * half.cos(), rtol=1e-3, atol=1e-3)


def test_norms_that_differ_change_evenly() -> None:
    found = spherical(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0]), SHARES)
    torch.testing.assert_close(found.norm(dim=1), torch.tensor([1.0, 1.5, 2.0, 2.5, 3.0]))


def test_codes_without_an_angle_between_them_are_joined_straight() -> None:
    first = code(6)
    nearly = first * (1 + 1e-6)
    for second in (first, 3 * first, nearly, torch.zeros(6)):
        torch.testing.assert_close(spherical(first, second, SHARES), linear(first, second, SHARES))
    together = spherical(torch.stack([first, first]), torch.stack([2 * first, code(6, seed=1)]), SHARES)
    torch.testing.assert_close(together[:, 1], spherical(first, code(6, seed=1), SHARES))


def test_codes_in_opposite_directions_have_no_arc() -> None:
    first = code(6)
    for second in (-first, -2.5 * first):
        with pytest.raises(VisagistError, match="opposite directions"):
            spherical(first, second, SHARES)
    assert torch.isfinite(linear(first, -first, SHARES)).all()


def test_what_is_no_way_is_refused() -> None:
    with pytest.raises(VisagistError, match=r"one shape are needed, got \[2\] and \[3\]"):
        linear(code(2), code(3), SHARES)
    for shares in (torch.tensor(0.5), torch.tensor([1.5]), torch.tensor([torch.nan])):
        with pytest.raises(VisagistError, match="from 0 to 1"):
            spherical(code(2), code(2, seed=1), shares)


def faces_of_noise(count: int) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)


def test_faces_are_joined_by_what_lies_between_their_codes() -> None:
    faces = faces_of_noise(3)
    ways = interpolate_faces(Editor(picture_code()), faces, 11)
    assert ways.shape == (2, 11, 4, 4, 3)
    for way, first, second in zip(ways, faces, faces[1:]):
        shares = np.linspace(0, 1, 11)[:, None, None, None]
        assert np.abs(way - ((1 - shares) * first + shares * second)).max() <= 0.5 + 1e-3
        assert np.array_equal(way[0], first)
        assert np.array_equal(way[-1], second)


def test_labels_go_straight_where_codes_go_along_an_arc() -> None:
    faces = np.zeros((2, 4, 4, 3), np.uint8)
    faces[0, 0, 0, 0], faces[1, 0, 0, 1] = 255, 255  # y is 1 and 0; the codes are at right angles
    straight, arc = (interpolate_faces(Editor(picture_code(labelled=True)), faces, 3, kind)[0] for kind in WAYS)
    assert [int(face[3, 3, 2]) for face in arc] == [int(face[3, 3, 2]) for face in straight] == [255, 128, 0]
    assert [straight[1, 0, 0, 0], straight[1, 0, 0, 1]] == [128, 128]
    assert [arc[1, 0, 0, 0], arc[1, 0, 0, 1]] == [180, 180]  # 255 cos 45°


def test_what_has_no_way_is_refused() -> None:
    editor, faces = Editor(picture_code()), faces_of_noise(2)
    with pytest.raises(VisagistError, match="got 1: give at least 2"):
        interpolate_faces(editor, faces[:1])
    with pytest.raises(VisagistError, match="a way of 1 steps has no two ends"):
        interpolate_faces(editor, faces, 1)
    with pytest.raises(VisagistError, match="did you mean spherical"):
        interpolate_faces(editor, faces, kind="sphere")
    editor.backend.method.capabilities = frozenset({"generate"})  # type: ignore[misc]
    with pytest.raises(VisagistError, match="has no code for interpolation: it can generate"):
        interpolate_faces(editor, faces)
