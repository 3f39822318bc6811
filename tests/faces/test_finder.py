"""The finder: its scenes show what they say, cells learn the faces near them, tiles and sizes cover a photograph."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from face_finding import distance
from portraits import drawn
from tiny_faces import make_faces
from torch import Tensor

from visagist import train
from visagist.faces import finder
from visagist.faces.augmentation import make_grounds
from visagist.faces.finder_decoding import Detections, merge, read_cells
from visagist.faces.finder_scenes import (
    PlacedFaces,
    SceneSettings,
    another_view,
    compose_scenes,
)
from visagist.faces.finder_training import FaceFinder, FaceFinderConfig, assign_cells, compare, finder_losses
from visagist.faces.geometry import reduce_by
from visagist.faces.landmark_training import eye_distance
from visagist.networks.finder import LEVELS, ByteFinder, FinderNet, cell_centers
from visagist.runtime.folding import fold_norms

FACE = torch.tensor([[-0.5, -0.45], [0.5, -0.45], [0.0, 0.1], [-0.4, 0.5], [0.4, 0.5]])  # in distances of the eyes
TINY = {"widths": (4, 8, 8), "scene": 64, "faces": 3, "drawn": 1.0, "drawings": 20, "views": 2, "drawn_grounds": 4}


def placed(*faces: tuple[float, float, float]) -> PlacedFaces:
    """Faces of one scene at x, y with eyes this far apart."""
    points = torch.stack([FACE * eyes + torch.tensor([x, y]) for x, y, eyes in faces])
    return PlacedFaces(torch.zeros(len(faces), dtype=torch.long), points, torch.zeros(len(faces)))


def perfect_cells(faces: PlacedFaces, side: int) -> list[Tensor]:
    """The cells of a network that has learned all: sure of each face, with its points."""
    cells = []
    for level in LEVELS:
        n = side // level.stride
        owner, _ = assign_cells(faces, torch.Size((1, 12, n, n)), level.stride, level.narrowest, level.widest)
        values = torch.zeros(1, 12, n, n)
        values[:, :2] = -9
        for y, x in torch.nonzero(owner[0] >= 0).tolist():
            points = (faces.points[owner[0, y, x]] - cell_centers(n, n, level.stride)[y, x]) / level.unit
            values[0, 0, y, x], values[0, 2:, y, x] = 9, points.flatten()
        cells.append(values)
    return cells


def test_what_cells_learn_is_read_from_them_again() -> None:
    faces = placed((30, 34, 6), (90, 40, 11), (60, 94, 24))
    cells = perfect_cells(faces, 128)
    (detections,) = read_cells(cells, 0.5)
    found = merge(detections)
    assert len(detections.scores) > len(found.scores) == 3
    assert compare([found], faces) == (0, 0, pytest.approx(0, abs=1e-5))
    assert all(float(loss.detach()) < 1e-3 for loss in finder_losses(cells, faces, 0.08, 2.0))


def test_a_face_between_two_levels_is_one_face_and_two_that_touch_are_two() -> None:
    between = placed((60, 60, 11))
    assert len(merge(read_cells(perfect_cells(between, 128), 0.5)[0]).scores) == 1
    touching = placed((40, 60, 10), (62, 60, 10))
    assert len(merge(read_cells(perfect_cells(touching, 128), 0.5)[0]).scores) == 2


def test_hidden_faces_and_faces_of_other_sizes_teach_nothing() -> None:
    face = placed((60, 60, 11))
    hidden = face._replace(hidden=torch.tensor([0.9]))
    for faces in (hidden, placed((60, 60, 50))):
        owner, learns = assign_cells(faces, torch.Size((1, 12, 16, 16)), *LEVELS[0][:3])
        assert (owner == -1).all()
        assert not learns[0, 7, 7]
        assert learns[0, 0, 0]


def test_the_points_of_a_scenes_faces_lie_where_the_scene_shows_them() -> None:
    torch.manual_seed(0)
    pictures, points = torch.full((2, 3, 96, 96), 0.5), []
    for row in range(2):
        picture, own = drawn(row, 96)
        points.append(torch.from_numpy(own).float())
        pictures[row] = torch.from_numpy(picture).permute(2, 0, 1) / 255
        for colour, (x, y) in enumerate(own[[0, 1, 2]].round().astype(int)):  # eyes and nose in pure colours
            pictures[row, :, y - 2 : y + 3, x - 2 : x + 3] = 0
            pictures[row, colour, y - 2 : y + 3, x - 2 : x + 3] = 1
    settings = SceneSettings(side=160, faces=4, smallest=60, largest=76, decoys=0, covered=0)
    scenes, faces = compose_scenes(pictures, torch.stack(points), torch.ones(2), make_grounds([], 0, 2, 64), 12, settings)
    for shown, seen in ((scenes, faces), another_view(scenes, faces)):
        checked = 0
        for scene, own, hidden in zip(*seen):
            inside = ((own > 4) & (own < shown.shape[-1] - 5)).all()
            if hidden > 0 or not inside:
                continue
            checked += 1
            for colour, (x, y) in enumerate(own[[0, 1, 2]].round().long().tolist()):
                colour = (1, 0, 2)[colour] if shown is not scenes else colour  # in a mirror image the left eye was the right
                pixel = shown[scene, :, y - 1 : y + 2, x - 1 : x + 2].mean((1, 2))
                assert int(pixel.argmax()) == colour
                assert float(pixel.max() - pixel.median()) > 0.2
        assert checked >= 3


def test_tiles_cover_every_pixel_and_overlap_by_a_face() -> None:
    for length in (10, 1024, 1025, 2000, 9999):
        for step in (1, 32):
            spans = finder._spans(length, finder.TILE, finder.OVERLAP, step)
            assert spans[0][0] == 0
            assert spans[-1][1] == length
            assert all(start % step == 0 for start, _ in spans)
            assert all(after[0] < end - finder.OVERLAP + step for (_, end), after in pairwise(spans))
            assert all(end - start < finder.TILE + step for start, end in spans)


def test_a_scan_reads_every_size_and_gives_places_in_the_photograph() -> None:
    class Squares(torch.nn.Module):
        """A finder of black squares on white: a cell fires where it is black for as far as a face is wide."""

        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            cells = []
            for level in LEVELS:
                dark = torch.nn.functional.avg_pool2d(1 - images.mean(1, keepdim=True), level.stride)
                values = torch.zeros(1, 12, *dark.shape[2:])
                values[:, :1] = 40 * (dark - 0.99)
                values[:, 2:] = (FACE * 10 / level.unit).flatten()[:, None, None]
                cells.append(values)
            return cells[0], cells[1]

    photo = np.full((700, 2600, 3), 255, np.uint8)
    places = [(40, 60, 34), (2540, 640, 34), (1500, 300, 280)]
    for x, y, side in places:
        photo[y - side // 2 : y + side // 2, x - side // 2 : x + side // 2] = 0
    found = finder.scan(photo, 24, 0.5, Squares())  # type: ignore[arg-type]
    middles = found.points.mean(1)
    for x, y, side in places:
        assert np.hypot(*(middles - (x, y)).T).min() < side / 2
    white = np.full((50, 3, 3), 255, np.uint8)
    assert len(finder.scan(white, 24, 0.5, Squares()).scores) == 0  # type: ignore[arg-type]


def test_folded_norms_and_bytes_change_no_output() -> None:
    torch.manual_seed(0)
    network, tiles = FinderNet((4, 8, 8)), torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8)
    x = tiles.permute(0, 3, 1, 2) / 255
    network(x)
    network.eval()
    before = network(x)
    fold_norms(network)
    for outputs in (network(x), ByteFinder(network, torch.float32)(tiles)):
        for a, b in zip(before, outputs):
            assert a.detach().numpy() == pytest.approx(b.detach().numpy(), abs=1e-4)


def test_a_photograph_that_is_read_as_if_reduced_gives_the_cells_of_its_reduction(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network, photo = FinderNet((4, 8, 8)).eval(), torch.randint(0, 256, (1, 127, 190, 3), dtype=torch.uint8)
    fold_norms(network)
    reduced = reduce_by(photo[0].numpy(), 2)
    edged = np.pad(reduced, ((0, 0), (0, 1), (0, 0)), "edge")
    expected = network(torch.from_numpy(edged)[None].permute(0, 3, 1, 2) / 255)
    for strip in (1 << 20, 1):
        monkeypatch.setattr("visagist.networks.finder.STRIP", strip)
        cells, smaller = ByteFinder(network, torch.float32, 2).read(photo)
        for a, b in zip(expected, cells):
            assert a.detach().numpy() == pytest.approx(b.numpy(), abs=0.02)  # the reduction is rounded to bytes
        whole = np.s_[:-1, :-1]
        assert np.abs(smaller[0].numpy().astype(int) - reduce_by(edged, 4))[whole].max() <= 1


def test_a_finder_trains_and_learns_to_find_what_it_is_shown(tmp_path: Path) -> None:
    faces = make_faces(count=24, image_size=64)
    train("finder", faces, out=tmp_path / "run", images=48, settings={**TINY, "batch_size": 8, "validation_faces": 4})
    model = finder.load_finder(tmp_path / "run" / "last")
    assert not model.training
    cells = model(torch.rand(1, 3, 64, 48))
    assert [tuple(values.shape) for values in cells] == [(1, 12, 8, 6), (1, 12, 4, 3)]


def test_the_loss_falls_on_a_scene_that_is_seen_again() -> None:
    torch.manual_seed(0)
    model = FaceFinder(FaceFinderConfig(**TINY), (), 64)
    faces = placed((20, 24, 7), (44, 40, 9))
    scene = torch.rand(1, 3, 64, 64) * 0.2
    for x, y in faces.points.flatten(0, 1).round().long().tolist():
        scene[0, :, y, x] = 1
    optimizer = model.optimizers()["network"]
    losses = []
    for _ in range(60):
        L_face, L_points, _ = finder_losses(list(model(scene)), faces, 0.08, 2.0)
        optimizer.zero_grad()
        (L_face + L_points).backward()
        optimizer.step()
        losses.append((float(L_face.detach()), float(L_points.detach())))
    assert losses[-1][0] < 0.3 * losses[0][0]
    assert losses[-1][1] < 0.5 * losses[0][1]


def test_a_merged_face_has_the_mean_of_its_points_and_the_best_score() -> None:
    points = np.stack([FACE.numpy() * 20 + 50, FACE.numpy() * 20 + 52, FACE.numpy() * 20 + 200]).astype(np.float32)
    merged = merge(Detections(np.float32([0.9, 0.9, 0.6]), points, np.float32([0, 0.2, 0])))
    assert merged.scores.tolist() == pytest.approx([0.9, 0.6])
    assert distance(merged.points[0], FACE.numpy() * 20 + 51) < 1e-4
    assert merged.hidden[0] == pytest.approx(0.1)
    assert float(eye_distance(torch.from_numpy(merged.points))[0]) == pytest.approx(20, rel=0.2)
