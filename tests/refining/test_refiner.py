"""The refiner: it paints inside its mask alone, learns by the engine, and is the usual mode of photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from edited_toys import painter
from portraits import portrait_photo

from visagist import train
from visagist.attributes import CHANGES_WITH, changes_with
from visagist.data import load_data
from visagist.editing.editor import Editor
from visagist.editing.modes import Mode
from visagist.editing.photo_edit import open_photo
from visagist.editing.request import EditRequest, edit_picture
from visagist.errors import VisagistError
from visagist.refining.load import load_refiner
from visagist.refining.refiner import Refiner, RefinerConfig

WIDTHS = {"widths": (8, 8, 8, 8), "discriminator_widths": (8, 8, 8, 8)}
NAMES = ("Smiling", "Eyeglasses")


@pytest.fixture
def refiner() -> Refiner:
    torch.manual_seed(0)
    model = Refiner(RefinerConfig(**WIDTHS), NAMES, 128)  # type: ignore[arg-type]
    torch.nn.init.normal_(model.refiner.last.weight, 0, 0.2)  # so that it paints something
    return model.eval().requires_grad_(False)


@pytest.fixture
def painted(refiner: Refiner) -> Editor:
    toy = painter(NAMES)
    return Editor(toy.backend, {"crop": "centre148", "strength": None}, name="toy", refiner=refiner)


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, str]:
    faces = load_data("synthetic:48", image_size=32, attributes=list(NAMES))
    small = {"width": 8, "discriminator_width": 8, "latent": 8, "batch_size": 4}
    guide = train("ifcvae-gan", faces, attributes=NAMES, out=tmp_path / "guide", images=8, settings=small, calibrate=False)
    judge = {"fold": 1, "stem": 4, "widths": (4, 4), "depths": (1, 1), "batch_size": 4}
    teacher = train("judge", faces, out=tmp_path / "teacher", images=8, settings=judge)
    return {"guides": (str(guide),), "teacher": str(teacher), "feature_weights": "random", "batch_size": 4}  # type: ignore[dict-item]


def test_a_refiner_of_more_attributes_begins_where_one_of_fewer_stands(refiner: Refiner) -> None:
    wider = Refiner(RefinerConfig(**WIDTHS, start="first"), ("Bangs", "Eyeglasses", "Smiling"), 128).eval()  # type: ignore[arg-type]
    wider.begin_with(refiner.state_dict(), NAMES, "ab" * 32)
    generator = torch.Generator().manual_seed(0)
    x, edited, rebuilt = torch.rand(3, 2, 3, 128, 128, generator=generator)
    for name in NAMES:
        torch.testing.assert_close(*(model.repaint(x, name, 1.0, edited, rebuilt) for model in (refiner, wider)))
    with pytest.raises(VisagistError, match="first paints Smiling, which would be lost"):
        Refiner(RefinerConfig(**WIDTHS, start="first"), ("Eyeglasses",), 128).begin_with(refiner.state_dict(), NAMES, "")  # type: ignore[arg-type]


def test_a_refiner_is_trained_by_the_engine_resumed_and_loaded(tmp_path: Path, tools: dict[str, str]) -> None:
    faces = load_data("synthetic:48", image_size=128, attributes=list(NAMES))
    settings = {**tools, **WIDTHS}
    for images in (8, 16):
        run = {"images": images, "settings": settings, "resume": images > 8}
        model = train("refiner", faces, attributes=NAMES, out=tmp_path / "run", **run)
    loaded = load_refiner(model)
    assert loaded.attributes == NAMES
    assert loaded.config.guides == tuple(tools["guides"])
    with pytest.raises(VisagistError, match="needed here"):
        Editor.from_pretrained(model)


def test_a_judge_is_no_teacher(tmp_path: Path, tools: dict[str, str]) -> None:
    faces = load_data("synthetic:48", image_size=128, attributes=list(NAMES))
    settings = {**tools, **WIDTHS, "teacher": "judge-64"}
    with pytest.raises(VisagistError, match="judges edits"):
        train("refiner", faces, out=tmp_path / "run", attributes=NAMES, images=8, settings=settings)


def test_outside_its_mask_not_one_pixel_changes(refiner: Refiner) -> None:
    x = torch.rand(2, 3, 128, 128)
    edit = refiner.repaint(x, "Smiling", 1.0, x, x)
    mask, _ = refiner.masks([0, 0], torch.zeros_like(x), torch.ones(2))
    outside = (mask == 0).expand_as(x)
    assert torch.equal(edit[outside], x[outside])
    assert (edit - x).abs().max() > 0.01


def test_a_mirrored_face_gets_the_mirrored_edit(painted: Editor) -> None:
    face = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    edits = [painted.edit(f, mode="photo", Smiling=1) for f in (face, np.ascontiguousarray(face[:, ::-1]))]
    assert np.array_equal(edits[0], edits[1][:, ::-1])


def test_strength_moves_evenly_from_the_photograph(painted: Editor) -> None:
    face = np.random.default_rng(1).integers(40, 200, (128, 128, 3), np.uint8)
    changes = [
        np.abs(painted.edit(face, mode="photo", Smiling=s).astype(int) - face).mean() for s in (0.0, 0.1, 0.2, 0.4, 0.5)
    ]
    assert changes[0] == 0
    assert (np.diff(changes) > 0).all()


def test_several_attributes_are_painted_one_after_the_other(painted: Editor) -> None:
    face = np.random.default_rng(2).integers(40, 200, (128, 128, 3), np.uint8)
    both = painted.edit(face, mode="photo", Smiling=1, Eyeglasses=1)
    first = painted.edit(face, mode="photo", Smiling=1)
    assert np.abs(painted.edit(first, mode="photo", Eyeglasses=1).astype(int) - both).mean() < 0.5


def test_photographs_are_painted_by_default_where_a_refiner_knows_the_attributes(painted: Editor) -> None:
    photo, _ = portrait_photo((420, 360), 1.5, 10)
    file = open_photo(photo)
    edited = edit_picture(painted, file, EditRequest({"Smiling": 1.0}, aligned=False))
    assert edited.mode is Mode.PHOTO
    assert edited.step.mode == "photo"
    painted.refiner = None
    assert edit_picture(painted, file, EditRequest({"Smiling": 1.0}, aligned=False)).mode is Mode.DETAIL
    with pytest.raises(VisagistError, match="take the mode detail"):
        edit_picture(painted, file, EditRequest({"Smiling": 1.0}, mode=Mode.PHOTO, aligned=False))


def test_what_goes_together_may_change_together_both_ways() -> None:
    for names in CHANGES_WITH:
        for name in names:
            assert names <= changes_with(name)
    assert changes_with("Wearing_Necklace") == {"Wearing_Necklace"}


def test_glasses_that_are_given_leave_temples_and_hair_alone(refiner: Refiner) -> None:
    change = torch.full((2, 3, 128, 128), 0.2)
    masks, _ = refiner.masks([1, 1], change, torch.tensor([0.0, 1.0]))
    taken, given = masks[:, 0].sum((1, 2))
    assert given < 0.8 * taken
