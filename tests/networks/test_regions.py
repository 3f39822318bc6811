"""Where an attribute may be painted: by the face's template, and by what a decode changes."""

from __future__ import annotations

import torch

from visagist.data.crops import template
from visagist.networks.regions import REGIONS, Grid, paint_masks, region_of

GRID = Grid("centre148", 128)


def still(count: int = 1) -> torch.Tensor:
    return torch.zeros(count, 3, 128, 128)


def test_a_smile_is_painted_at_the_mouth_and_never_at_the_eyes() -> None:
    mask, hidden = paint_masks(GRID, ["Smiling"], torch.ones(1, 3, 128, 128))
    points = template("centre148", 128).round().astype(int)
    for x, y in points[:2]:
        assert mask[0, 0, y, x] == 0
    for x, y in points[3:]:
        assert mask[0, 0, y, x] == hidden[0, 0, y, x] == 1


def test_masks_are_the_same_for_mirrored_faces() -> None:
    change = torch.zeros(1, 3, 128, 128)
    change[..., 20:60, 10:40] = 0.1
    for name in REGIONS:
        mask, _ = paint_masks(GRID, [name], change)
        mirrored, _ = paint_masks(GRID, [name], change.flip(3))
        # The template's middle may lie half a pixel beside the picture's.
        assert (mask.flip(3) - mirrored).abs().mean() < 0.01, name


def test_a_mask_grows_where_the_decode_changes_but_not_beyond_the_limits_of_its_region() -> None:
    before, _ = paint_masks(GRID, ["Smiling"], still())
    change = torch.zeros(1, 3, 128, 128)
    change[:, :, 70:80, 36:44] = 0.1  # beside the mouth's ellipse
    change[:, :, 2:12, 2:12] = 0.1  # background
    after, _ = paint_masks(GRID, ["Smiling"], change)
    assert after[0, 0, 75, 40] >= before[0, 0, 75, 40]
    assert after.sum() > before.sum()
    assert after[0, 0, :20].max() == 0


def test_an_unknown_attribute_is_painted_where_it_changes_and_hides_nothing() -> None:
    assert region_of("Wearing_Necklace").ellipses == ()
    change = torch.zeros(1, 3, 128, 128)
    change[:, :, 100:, 40:80] = 0.1
    mask, hidden = paint_masks(GRID, ["Wearing_Necklace"], change)
    assert mask[0, 0, 120, 60] == 1
    assert mask[0, 0, 20, 60] == 0
    assert hidden.max() == 0


def test_each_face_of_a_batch_has_the_mask_of_its_own_attribute() -> None:
    both, _ = paint_masks(GRID, ["Smiling", "Eyeglasses"], still(2))
    for row, name in enumerate(("Smiling", "Eyeglasses")):
        alone, _ = paint_masks(GRID, [name], still())
        assert torch.equal(both[row], alone[0])


def test_a_box_holds_all_that_may_be_painted_and_no_more_than_is_needed() -> None:
    for name in REGIONS:
        mask, _ = paint_masks(GRID, [name], torch.ones(1, 3, 128, 128))
        rows, columns = GRID.box(name, 16)
        outside = mask[0, 0].clone()
        outside[rows, columns] = 0
        assert outside.max() == 0
        assert (rows.stop - rows.start) % 16 == (columns.stop - columns.start) % 16 == 0
    rows, columns = GRID.box("Smiling", 16)
    assert (rows.stop - rows.start) * (columns.stop - columns.start) < 128 * 128 / 2
