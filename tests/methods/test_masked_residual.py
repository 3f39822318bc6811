"""Masked residuals: what an edit leaves alone, which faces meet in training, and that edits are learned."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import tiny_model

from visagist import train
from visagist.checkpoints import checkpoint
from visagist.data import load_data
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.exporting.folder import export_onnx
from visagist.methods.base import Batch
from visagist.methods.masked_residual import MaskedResidual, strange_hues
from visagist.networks.masked_residual import blend_colours
from visagist.training.updater import Updater

FACES = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def method_of(*attributes: str, **changes: Any) -> Any:
    """A tiny method whose masks are open and whose residuals are not 0."""
    model = tiny_model(MaskedResidual, attributes, 32, **changes).eval().requires_grad_(False)
    drawn = torch.Generator().manual_seed(1)
    torch.nn.init.normal_(model.generator.last.weight, std=0.3, generator=drawn)
    if model.recolours:
        torch.nn.init.normal_(model.generator.mix[-1].weight, std=0.3, generator=drawn)
    return model


def setting(attributes: int, **amounts: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets 1 and the amounts of the attributes `a0`, `a1`, … for each face."""
    amount = torch.zeros(len(FACES), attributes)
    for name, value in amounts.items():
        amount[:, int(name[1:])] = value
    return (amount > 0).float(), amount


def test_lipstick_changes_nothing_above_the_mouth() -> None:
    model = method_of("Wearing_Lipstick")
    changed = (model.edit(FACES, *setting(1, a0=1.0)) != FACES).any(1).any(0)
    assert changed[18:28].any()
    assert not changed[:14].any()


def test_a_mirrored_face_gets_the_mirrored_edit() -> None:
    model = method_of("Young")
    edited, mirrored = (model.edit(x, *setting(1, a0=0.5)) for x in (FACES, FACES.flip(3)))
    torch.testing.assert_close(edited, mirrored.flip(3))


def test_the_change_grows_evenly_with_the_amount() -> None:
    model = method_of("Young")
    grey = 0.5 + 0.01 * FACES
    half, whole = (model.edit(grey, *setting(1, a0=amount)) - grey for amount in (0.05, 0.1))
    torch.testing.assert_close(whole, 2 * half, atol=1e-5, rtol=1e-4)
    change = model.change(grey, torch.zeros(4, dtype=torch.int64), torch.ones(4))
    mirrored = model.change(grey.flip(3), torch.zeros(4, dtype=torch.int64), torch.ones(4)).flip(3)
    torch.testing.assert_close(whole, 0.1 * (change + mirrored) / 2, atol=1e-5, rtol=1e-4)
    further = method_of("Young", reach=1.5).edit(grey, *setting(1, a0=0.1)) - grey
    torch.testing.assert_close(further, 1.5 * whole, atol=1e-5, rtol=1e-4)


def test_colours_change_alike_wherever_a_mask_lets_them() -> None:
    x = torch.stack([torch.full((3, 4, 4), value) for value in (0.2, 0.6)])
    transform = torch.zeros(2, 1, 3, 4)
    transform[:, 0, :, :3] = -0.5 * torch.eye(3)  # half of every colour
    transform[:, 0, 2, 3] = 0.1
    masks = torch.zeros(2, 1, 4, 4)
    masks[:, :, :, 2:] = 1
    change = blend_colours(x, masks, transform)
    assert not change[..., :2].any()
    torch.testing.assert_close(change[:, 0, 0, 3], torch.tensor([-0.1, -0.3]))
    torch.testing.assert_close(change[:, 2, 0, 3], torch.tensor([0.0, -0.2]))


def test_several_attributes_are_edited_one_after_the_other() -> None:
    model = method_of("Young", "Bangs")
    both = model.edit(FACES, *setting(2, a0=0.5, a1=1.0))
    first = model.edit(FACES, *setting(2, a0=0.5))
    torch.testing.assert_close(both, model.edit(first, *setting(2, a1=1.0)))
    assert torch.equal(model.edit(FACES, *setting(2)), FACES)


@pytest.mark.parametrize("form", ["residual", "colours"])
def test_graphs_edit_several_attributes_as_torch_does(tmp_path: Path, form: str) -> None:
    model = method_of("Young", "Bangs", form=form)
    checkpoint.save_model(tmp_path / "model", checkpoint.describe(model, crop="centre148"), model.state_dict())
    export_onnx(tmp_path / "model", tmp_path / "graphs")
    faces = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    editors = [Editor.from_pretrained(tmp_path / "graphs", backend=backend) for backend in ("torch", "onnx")]
    assert [editor.recolours for editor in editors] == [form == "colours"] * 2
    for strengths in ({"Young": 0.5, "Bangs": -1.0}, {"Bangs": 0.2}):
        edited = [editor.edit(faces, aligned=True, **strengths) for editor in editors]
        assert np.abs(np.subtract(*edited, dtype=int)).max() <= 1
        assert np.abs(np.subtract(edited[0], faces, dtype=int)).max() > 8
    assert np.array_equal(editors[1].reconstruct(faces, aligned=True), faces)


def test_faces_that_meet_are_of_both_classes_and_the_rather_alike() -> None:
    # Of 40 faces the first attribute goes with the second, but for two faces of each class.
    first = torch.arange(40) < 20
    second = first.clone()
    second[[0, 1, 38, 39]] = ~second[[0, 1, 38, 39]]
    labels = torch.stack([first, second], 1).float()
    shares = []
    for likeness in (0.0, 3.0):
        model = method_of("Young", "Male", likeness=likeness, pairs=400)
        torch.manual_seed(0)
        faces, real, attribute, toward = model.draw_pairs(labels)
        rows = torch.arange(400)
        assert (labels[faces][rows, attribute] != toward).all()
        assert (labels[real][rows, attribute] == toward).all()
        shares.append(float((labels[faces, 1] == labels[real, 1])[attribute == 0].float().mean()))
    assert shares[0] < 0.3
    assert shares[1] > 0.75


def test_faces_that_meet_have_the_matched_labels_in_common() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(48, 3, generator=generator) < 0.5).float()  # lipstick, and two that are matched
    model = method_of("Wearing_Lipstick", matched=("Male", "Young"), match=8.0, pairs=200)
    torch.manual_seed(0)
    faces, real, attribute, _ = model.draw_pairs(labels)
    assert not attribute.any()
    assert (labels[faces, 1:] == labels[real, 1:]).all(1).float().mean() > 0.95


def test_labels_that_are_matched_are_read_and_not_learned(tmp_path: Path) -> None:
    config = {"matched": ("Smiling",), "width": 4, "discriminator_width": 4, "pairs": 2, "image_size": 32}
    training = {"batch_size": 8, "validation_faces": 2}
    trained = train(
        "masked-residual", "synthetic:60", attributes=["Wearing_Hat"], images=8, settings=config | training,
        out=tmp_path / "run", calibrate=False,
    )  # fmt: skip
    assert Editor.from_pretrained(trained).attributes == ("Wearing_Hat",)
    with pytest.raises(VisagistError, match="Smiling is matched and learned"):
        train("masked-residual", "synthetic:60", attributes=["Smiling"], settings=config, images=8, out=tmp_path / "two")


def test_shared_masks_are_the_same_whatever_is_edited() -> None:
    one, other = torch.eye(4)[:2, None].expand(2, 4, 4)
    for shared in (True, False):
        generator = method_of("Black_Hair", "Blond_Hair", form="colours", shared=shared).generator
        torch.nn.init.normal_(generator.down[0].conv.weight, std=0.3)
        first, second = (generator.masks_and_transforms(FACES, code) for code in (one, other))
        assert torch.equal(first[0], second[0]) == shared
        assert not torch.equal(first[1], second[1])


def test_a_teacher_is_asked_about_each_edit_and_weighs_in_the_loss() -> None:
    model, asked = method_of("Young", "Male", pairs=3).train().requires_grad_(True), list[str]()

    def teaching(before: torch.Tensor, after: torch.Tensor, names: Any, toward: torch.Tensor) -> Any:
        asked.extend(names)
        return (after - before).abs().mean() + len(before) - len(toward), torch.tensor(0.0)

    model.use_teacher(teaching, {"a teacher": "ab" * 32})
    labels = torch.tensor([[0.0, 1], [1, 0], [0, 0], [1, 1]])
    torch.manual_seed(0)
    (losses,) = model.training_step(Batch(FACES, labels))
    model._teaching = None
    torch.manual_seed(0)
    (without,) = model.training_step(Batch(FACES, labels))
    assert len(asked) == 3
    assert set(asked) <= {"Young", "Male"}
    assert losses["generator"] > without["generator"]
    assert model.borrowed() == {"a teacher": "ab" * 32}


def test_it_is_taught_by_two_judges_and_seen_through_the_eyes_of_the_first(tmp_path: Path) -> None:
    faces = load_data("synthetic:48", image_size=32, attributes=["Smiling", "Eyeglasses"])
    judge = {"fold": 1, "architecture": "plain_conv", "widths": (4, 6), "depths": (1, 1), "hidden": 4, "batch_size": 4}
    teachers = ",".join(
        str(train("judge", faces, out=tmp_path / str(seed), images=8, settings={**judge, "seed": seed})) for seed in (3, 4)
    )
    settings = {"form": "colours", "width": 12, "discriminator_width": 8, "pairs": 2, "batch_size": 8, "teacher": teachers}
    run: dict[str, Any] = {"images": 16, "calibrate": False, "attributes": ("Smiling", "Eyeglasses")}
    with pytest.raises(VisagistError, match=r"has stages of \[4, 6\] channels"):
        train("masked-residual", faces, out=tmp_path / "no", settings={**settings, "feature_channels": (5,)}, **run)
    model = train("masked-residual", faces, out=tmp_path / "run", settings={**settings, "feature_channels": (6,)}, **run)
    description = checkpoint.read_description(model)
    assert sorted(description["borrowed"]) == sorted(teachers.split(","))
    assert len(checkpoint.load_model(tmp_path / "run" / "last")[0].discriminator.feature_heads) == 1


def test_hues_that_no_face_has_are_strange_and_those_of_skin_hair_and_lips_are_not() -> None:
    def colour(*rgb: float) -> torch.Tensor:
        return torch.tensor(rgb).view(1, 3, 1, 1)

    skin, dark = colour(0.8, 0.6, 0.5), colour(0.2, 0.15, 0.12)
    for natural in (colour(0.9, 0.8, 0.6), dark, colour(0.75, 0.3, 0.34), colour(0.6, 0.6, 0.6)):
        assert float(strange_hues(skin, natural)) < 1e-6
    for strange in (colour(0.5, 0.6, 0.5), colour(0.5, 0.3, 0.6), colour(0.95, 0.8, 0.2)):
        assert float(strange_hues(skin, strange)) > 0.05
    assert float(strange_hues(strange, strange)) == 0.0


def test_a_batch_of_one_class_says_so() -> None:
    with pytest.raises(VisagistError, match="give a larger batch_size"):
        method_of("Young").draw_pairs(torch.ones(8, 1))


def test_it_learns_to_brighten_and_darken_faces() -> None:
    torch.manual_seed(0)
    weights = {"learning_rate": 2e-3, "class_weight": 1.0, "pixel_weight": 0.0}
    model = tiny_model(MaskedResidual, ("Young",), 16, width=12, discriminator_width=8, **weights)
    generator = torch.Generator().manual_seed(0)
    engine = Updater(model, nullcontext, lambda tensors: None)
    for number in range(50):
        labels = (torch.arange(16) % 2).float()
        images = (0.3 + 0.4 * labels[:, None, None, None] + 0.1 * torch.rand(16, 3, 16, 16, generator=generator)).clamp(0, 1)
        engine.step([Batch(images, labels[:, None])], number)
    images, amount = images[:2], torch.ones(2, 1)
    moved = model.eval().edit(images, torch.tensor([[1.0], [0.0]]), amount) - images
    assert moved[0].mean() > 0.05
    assert moved[1].mean() < -0.05
