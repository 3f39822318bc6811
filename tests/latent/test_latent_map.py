from __future__ import annotations

import itertools
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visagist.errors import VisagistError
from visagist.latent.tsne_grid import Map, check_number, grid_cells, lay_out, map_picture
from visagist.reports.latent_map_page import map_page


def grid(side: int) -> np.ndarray:
    """x and y of the cells, row by row."""
    return np.stack([np.tile(np.arange(side), side), np.repeat(np.arange(side), side)], axis=1).astype(float)


def laid_out(cells: np.ndarray) -> Map:
    return Map(cells, cells.astype(float), 2.0, 4, {"grid": 1.0, "tsne": 1.0, "by_lot": 0.5})


@given(st.integers(0, 1000), st.integers(2, 6))
def test_places_near_the_cells_of_a_grid_get_those_cells(seed: int, side: int) -> None:
    draw = np.random.default_rng(seed)
    order = draw.permutation(side * side)
    inner = ((grid(side) > 0) & (grid(side) < side - 1)).astype(float)  # the edges say where the square is
    places = (grid(side) + draw.uniform(-0.45, 0.45, (side * side, 2)) * inner)[order] * (7, 0.3) + (-40, 5)
    assert np.array_equal(grid_cells(places), grid(side)[order][:, ::-1])


@given(st.integers(0, 1000))
def test_no_other_assignment_is_nearer_and_no_two_faces_share_a_cell(seed: int) -> None:
    places = np.random.default_rng(seed).normal(size=(4, 2))
    cells = grid_cells(places)
    assert sorted(map(tuple, cells.tolist())) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    unit = (places - places.min(0)) / np.ptp(places, axis=0)
    costs = [np.square(unit - np.array(order)[:, ::-1]).sum() for order in itertools.permutations(cells.tolist())]
    assert np.square(unit - cells[:, ::-1]).sum() == pytest.approx(min(costs))


def test_places_on_a_line_still_fill_the_grid() -> None:
    places = np.stack([np.arange(9.0), np.zeros(9)], axis=1)
    assert len(set(map(tuple, grid_cells(places).tolist()))) == 9


def test_codes_of_a_plane_keep_their_neighbours_and_a_lot_does_not() -> None:
    draw = np.random.default_rng(0)
    z = grid(7) @ draw.normal(size=(2, 12))
    layout = lay_out(z, seed=1)
    assert (layout.side, layout.neighbours, layout.perplexity) == (7, 8, 16)
    assert layout.trust["grid"] > 0.85
    assert layout.trust["tsne"] > 0.85
    assert 0.3 < layout.trust["by_lot"] < 0.7
    assert sorted(map(tuple, layout.cells.tolist())) == sorted(map(tuple, grid(7).astype(int).tolist()))
    assert np.array_equal(grid_cells(layout.places), layout.cells)
    again = lay_out(z, seed=1)
    assert np.array_equal(again.cells, layout.cells)
    assert np.array_equal(again.places, layout.places)


def test_codes_of_one_dimension_can_be_laid_out() -> None:
    assert lay_out(np.arange(16.0)[:, None]).trust["grid"] > 0.5


def test_perplexity_is_smaller_for_few_faces_and_as_asked() -> None:
    z = np.random.default_rng(0).normal(size=(100, 3))
    assert lay_out(z).perplexity == 30
    assert lay_out(z[:16]).perplexity == 5
    assert lay_out(z[:16], perplexity=4).perplexity == 4


@pytest.mark.parametrize(
    ("number", "near"), [(10, "9 or 16"), (0, "give 9"), (8, "give 9"), (624, "576 or 625"), (4225, "4096")]
)
def test_a_number_that_fills_no_square_is_refused_with_those_that_do(number: int, near: str) -> None:
    with pytest.raises(VisagistError, match=near):
        check_number(number)
    check_number(int(near.split()[-1]))


def test_codes_that_cannot_be_laid_out_are_refused() -> None:
    z = np.random.default_rng(0).normal(size=(16, 3))
    with pytest.raises(VisagistError, match="all the same"):
        lay_out(np.ones((16, 3)))
    with pytest.raises(VisagistError, match="not finite"):
        lay_out(np.where(z == z[3, 1], np.nan, z))
    for perplexity in (0.5, 16, float("nan")):
        with pytest.raises(VisagistError, match="give 1 or more, below 16"):
            lay_out(z, perplexity=perplexity)
    with pytest.raises(VisagistError, match="9 or 16"):
        lay_out(z[:10])


def test_the_picture_has_every_face_in_its_cell() -> None:
    cells = np.random.default_rng(1).permutation(grid(3).astype(int))
    faces = np.stack([np.full((5, 5, 3), 20 * i, np.uint8) for i in range(9)])
    drawn = np.asarray(map_picture(faces, laid_out(cells)))
    assert drawn.shape == (15, 15, 3)
    for i, (row, column) in enumerate(cells):
        assert (drawn[5 * row : 5 * row + 5, 5 * column : 5 * column + 5] == 20 * i).all()


def test_a_picture_of_large_faces_is_made_smaller() -> None:
    shades = np.arange(9, dtype=np.uint8)[:, None, None, None] * 20
    drawn = map_picture(np.broadcast_to(shades, (9, 1500, 1500, 3)), laid_out(grid(3)[:, ::-1].astype(int)))
    assert drawn.size == (4095, 4095)
    assert [drawn.getpixel((1365 * (i % 3) + 700, 1365 * (i // 3) + 700))[0] for i in range(9)] == shades.flatten().tolist()


def test_the_page_names_the_face_of_every_cell_and_loads_nothing() -> None:
    cells = np.random.default_rng(1).permutation(grid(3).astype(int))
    names = [f"{i}</script><b>.jpg" for i in range(9)]
    page = map_page([names[face] for face in laid_out(cells).row_by_row], b"\xff\xd8jpeg", "a < b", "x & y")
    (told,) = re.findall(r"side = 3, names = (\[.*\]);", page)
    for i, (row, column) in enumerate(cells):
        assert json.loads(told)[3 * row + column] == names[i]
    assert page.count("</script>") == 1
    assert "a &lt; b" in page
    assert "x &amp; y" in page
    assert re.findall(r'src="([^"]{0,30})', page) == ["data:image/jpeg;base64,/9hqcGV"[:30]]
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page)
    assert "default-src 'none'" in page
