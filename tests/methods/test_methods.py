"""The contract that every registered method keeps, without a line of its own here."""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_runs import ONE_PROCESS, SEPARATOR
from tiny_faces import make_faces
from tiny_models import tiny_model

from visagist import methods
from visagist.checkpoints.checkpoint import describe, load_model, save_model
from visagist.data.balance import balance_classes
from visagist.errors import VisagistError
from visagist.methods.base import CAPABILITIES, Accumulated, Batch, Method
from visagist.training.config import TrainingConfig
from visagist.training.trainer import train_model
from visagist.training.updater import Updater

EVERY = sorted(methods.available())
SETS = {1: ("Smiling",), 3: ("Smiling", "Eyeglasses", "Young")}


def attributes_for(name: str, count: int) -> tuple[str, ...]:
    """So many attributes, or the one that a method of pairs can learn."""
    return SETS[1 if methods.get(name).paired else count]


def batch_of(attributes: tuple[str, ...], count: int = 8) -> Batch:
    faces = make_faces(count, attributes=attributes, val=1, test=1)
    images = torch.from_numpy(faces.images).permute(0, 3, 1, 2) / 255
    return Batch(images, torch.from_numpy(faces.labels).float())


def can(*needed: str) -> list[str]:
    return [name for name in EVERY if set(needed) <= methods.get(name).capabilities]


@pytest.fixture(params=sorted(SETS), ids=lambda n: f"{n}-attribute")
def build(request: pytest.FixtureRequest) -> Callable[[str], tuple[Any, Batch]]:
    """A tiny method that has moved a few steps, in evaluation mode, and faces for it."""

    def make(name: str) -> tuple[Any, Batch]:
        attributes = attributes_for(name, request.param)
        model, batch = tiny_model(methods.get(name), attributes), batch_of(attributes)
        engine = Updater(model, nullcontext, lambda tensors: None)
        for number in range(3):
            engine.step([batch], number)
        return model.eval().requires_grad_(False), batch

    return make


def assert_pictures(pictures: torch.Tensor, like: torch.Tensor) -> None:
    assert pictures.shape == like.shape
    assert pictures.dtype == torch.float32
    assert torch.isfinite(pictures).all()
    assert pictures.min() >= 0
    assert pictures.max() <= 1


@pytest.mark.parametrize("name", EVERY)
def test_a_method_says_what_it_is(name: str) -> None:
    cls = methods.get(name)
    assert cls.name == name
    assert cls.title
    assert cls.paper
    assert cls.__doc__
    assert cls.paper in (inspect.getmodule(cls).__doc__ or "") or any(
        word in (inspect.getmodule(cls).__doc__ or "") for word in cls.paper.replace(",", " ").split() if "arXiv" in word
    ), "the module's docstring names the paper"
    assert cls.capabilities
    assert cls.capabilities <= set(CAPABILITIES)
    assert "edit" not in cls.capabilities or 0 < cls.paper_amount <= 1


@pytest.mark.parametrize("name", EVERY)
def test_a_config_is_frozen_has_defaults_and_survives_json(name: str) -> None:
    cls = methods.get(name)
    config = cls.Config()
    with pytest.raises(AttributeError):
        setattr(config, next(iter(config.__dataclass_fields__)), 0)
    model = tiny_model(cls)
    assert json.loads(json.dumps(model.config_dict())) == json.loads(json.dumps(describe(model)["config"]))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("count", sorted(SETS))
def test_a_training_step_yields_losses_that_each_reach_their_network(name: str, count: int) -> None:
    attributes = attributes_for(name, count)
    model = tiny_model(methods.get(name), attributes)
    engine, yielded = Updater(model, nullcontext, lambda tensors: None), set()
    for losses in model.training_step(batch_of(attributes)):
        assert losses.keys() <= model.networks().keys()
        for network, value in losses.items():
            loss = value.loss if isinstance(value, Accumulated) else value
            assert loss.shape == ()
            own = torch.autograd.grad(loss, engine.parameters[network], retain_graph=True, allow_unused=True)
            assert any(g is not None and g.abs().sum() > 0 for g in own), f"the loss of {network} does not reach it"
        yielded |= losses.keys()
    assert yielded == {network for network, parameters in engine.parameters.items() if parameters}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("count", sorted(SETS))
def test_one_training_step_moves_every_network_and_logs_scalars(name: str, count: int) -> None:
    attributes = attributes_for(name, count)
    model = tiny_model(methods.get(name), attributes)
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    Updater(model, nullcontext, lambda tensors: None).step([batch_of(attributes)], 0)
    for network, module in model.networks().items():
        trained = [key for key, p in module.named_parameters() if p.requires_grad]
        after = dict(module.named_parameters())
        assert not trained or any(not torch.equal(after[k], before[f"{network}.{k}"]) for k in trained)
    assert all(torch.isfinite(p).all() for p in model.parameters())
    logged = model.pop_log()
    assert logged
    assert all(value.shape == () and not value.requires_grad for value in logged.values())


@pytest.mark.parametrize("name", EVERY)
def test_validation_scores_what_the_best_model_is_chosen_by(name: str, build: Any) -> None:
    model, batch = build(name)
    values = model.validation(batch)
    assert model.best_metric is None or model.best_metric in values
    assert all(torch.isfinite(value) for value in values.values())


@pytest.mark.parametrize("name", can("autoencode"))
def test_codes_decode_to_pictures_and_to_the_same_ones_every_time(name: str, build: Any) -> None:
    model, batch = build(name)
    code = model.encode(batch.images)
    assert code.z.ndim == 2
    assert len(code.z) == len(batch.images)
    if code.y is not None:
        assert code.y.shape == batch.labels.shape
        assert code.y.min() >= 0
        assert code.y.max() <= 1
    pictures = model.decode(code)
    assert_pictures(pictures, batch.images)
    assert torch.equal(model.reconstruct(batch.images), pictures)


@pytest.mark.parametrize("name", can("autoencode"))
def test_a_face_is_read_alike_alone_and_among_others(name: str, build: Any) -> None:
    model, batch = build(name)
    alone = torch.cat([model.reconstruct(batch.images[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(alone, model.reconstruct(batch.images)[:4], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", can("edit"))
def test_an_edit_by_nothing_is_exactly_the_reconstruction(name: str, build: Any) -> None:
    model, batch = build(name)
    nothing = torch.zeros_like(batch.labels)
    expected = model.reconstruct(batch.images)
    for target in (0.0, 1.0):
        assert torch.equal(model.edit(batch.images, torch.full_like(batch.labels, target), nothing), expected)


@pytest.mark.parametrize("name", can("edit"))
def test_an_edit_is_a_picture_the_same_every_time_and_each_attribute_has_its_own(name: str, build: Any) -> None:
    model, batch = build(name)
    seen = []
    for attribute in range(len(model.attributes)):
        amount = torch.zeros_like(batch.labels)
        amount[:, attribute] = 1
        for target in (0.0, 1.0):
            toward = torch.full_like(batch.labels, target)
            edited = model.edit(batch.images, toward, amount)
            assert_pictures(edited, batch.images)
            assert torch.equal(edited, model.edit(batch.images, toward, amount))
            seen.append(edited)
    assert all(not torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


@pytest.mark.parametrize("name", can("edit"))
def test_edits_of_what_was_prepared_once_are_those_of_the_images(name: str, build: Any) -> None:
    model, batch = build(name)
    prepared = model.prepare(batch.images)
    for amount in (0.0, 0.4, 1.0):
        way = batch.labels.flip(0), torch.full_like(batch.labels, amount)
        assert torch.equal(model.edit_prepared(prepared, *way), model.edit(batch.images, *way))
    assert torch.equal(model.reconstruct_prepared(prepared), model.reconstruct(batch.images))


@pytest.mark.parametrize("name", can("edit"))
def test_faces_in_one_batch_are_edited_each_by_its_own_target_and_amount(name: str, build: Any) -> None:
    model, batch = build(name)
    target = batch.labels.flip(0)
    amount = torch.linspace(0, 1, target.numel()).view_as(target)
    together = model.edit(batch.images, target, amount)
    rows = [slice(i, i + 1) for i in range(len(target))]
    alone = torch.cat([model.edit(batch.images[i], target[i], amount[i]) for i in rows])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", can("edit_until"))
@pytest.mark.parametrize("confidence", [0.5001, 0.7, 0.999])
def test_an_edit_until_stops_where_its_classifier_is_sure_or_at_the_limit_and_not_before(
    name: str, confidence: float, build: Any
) -> None:
    model, batch = build(name)
    target, limit = torch.zeros_like(batch.labels), torch.zeros_like(batch.labels)
    target[:, 0] = 1 - model.classify(batch.images)[:, 0].round()
    limit[:, 0] = torch.linspace(0, 1, len(limit))
    edited, amount = model.edit_until(batch.images, target, limit, confidence, step=0.1)
    assert_pictures(edited, batch.images)
    assert torch.equal(edited, model.edit(batch.images, target, amount))
    assert not amount[:, 1:].any()
    assert (amount <= limit).all()

    def sure(amounts: torch.Tensor) -> torch.Tensor:
        present = model.classify(model.edit(batch.images, target, amounts))[:, 0]
        return torch.where(target[:, 0] > 0.5, present, 1 - present) >= confidence

    assert (sure(amount) | (amount == limit)[:, 0]).all()
    earlier = 0.1 * (torch.ceil(amount / 0.1 - 1e-4) - 1).clamp(min=0)
    assert not (sure(earlier) & (amount > 0)[:, 0]).any()


@pytest.mark.parametrize("name", can("classify"))
def test_a_classifier_gives_one_probability_for_each_attribute(name: str, build: Any) -> None:
    model, batch = build(name)
    found = model.classify(batch.images)
    assert found.shape == batch.labels.shape
    assert torch.isfinite(found).all()
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("name", can("generate"))
def test_samples_are_pictures_and_a_function_of_the_seed(name: str, build: Any) -> None:
    model, batch = build(name)
    torch.manual_seed(5)
    first = model.sample(batch.labels)
    torch.manual_seed(5)
    assert_pictures(first, batch.images)
    assert torch.equal(first, model.sample(batch.labels))
    assert not torch.equal(first, model.sample(batch.labels))


@pytest.mark.parametrize("name", EVERY)
def test_a_saved_model_does_what_it_did(name: str, build: Any, tmp_path: Path) -> None:
    model, batch = build(name)
    save_model(tmp_path / "model", describe(model), model.state_dict())
    loaded: Any = load_model(tmp_path / "model")[0]
    target, amount = 1 - batch.labels, torch.full_like(batch.labels, 0.7)
    if "edit" in model.capabilities:
        assert torch.equal(loaded.edit(batch.images, target, amount), model.edit(batch.images, target, amount))
    if "generate" in model.capabilities:
        torch.manual_seed(1)
        expected = model.sample(batch.labels)
        torch.manual_seed(1)
        assert torch.equal(loaded.sample(batch.labels), expected)


@pytest.mark.parametrize("name", EVERY)
def test_a_model_runs_with_the_inference_networks_alone(name: str, build: Any, tmp_path: Path) -> None:
    model, batch = build(name)
    needed = set(model.inference_networks) or set(model.networks())
    assert needed <= model.networks().keys()
    kept = {key: value for key, value in model.state_dict().items() if key.split(".")[0] in needed}
    save_model(tmp_path / "model", describe(model), kept)
    loaded: Any = load_model(tmp_path / "model")[0]
    if "autoencode" in model.capabilities:
        assert torch.equal(loaded.reconstruct(batch.images), model.reconstruct(batch.images))
    if "classify" in model.capabilities:
        assert torch.equal(loaded.classify(batch.images), model.classify(batch.images))


@pytest.mark.parametrize("name", EVERY)
def test_a_method_trains_through_the_engine(name: str, tmp_path: Path) -> None:
    attributes = attributes_for(name, 3)
    faces = make_faces(attributes=attributes)
    if methods.get(name).paired:
        faces = balance_classes(faces)
    config = TrainingConfig(images=32, batch_size=8, precision="fp32", validation_faces=8, validate_every_images=32)
    folder = train_model(tiny_model(methods.get(name), attributes), faces, config, tmp_path / "run", device="cpu")
    assert load_model(folder)[1]["name"] == name
    assert list((tmp_path / "run/samples").glob("*.png"))


def test_an_unknown_method_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(VisagistError, match="no method 'ifcvaegan': did you mean ifcvae-gan"):
        methods.get("ifcvaegan")


def test_methods_are_told_apart_by_name() -> None:
    found = methods.available()
    assert all(issubclass(cls, Method) and cls.name == name for name, cls in found.items())
    assert {"ifcvae-gan", "cvae-gan"} <= found.keys()


@pytest.fixture(scope="module")
def with_tint(tmp_path_factory: pytest.TempPathFactory, fixtures: Path) -> Callable[..., str]:
    """Runs `python ARGUMENTS` where one more method lies as one file in a folder of $VISAGIST_METHODS."""
    folder = tmp_path_factory.mktemp("methods")
    shutil.copy(fixtures / "methods" / "tint.py", folder)
    tests = str(Path(__file__).parents[1] / "support")
    paths = {"VISAGIST_METHODS": str(folder), "VISAGIST_CACHE": str(folder / "cache"), "PYTHONPATH": tests}

    def run(*arguments: str) -> str:
        environment = {**os.environ, **paths, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.slow
def test_a_method_added_as_one_file_trains_is_saved_loaded_and_edits(with_tint: Any, tmp_path: Path) -> None:
    with_tint(
        "-c",
        "import sys, torch; from pathlib import Path; from tiny_faces import make_faces; from visagist import methods\n"
        "from visagist.checkpoints.checkpoint import load_model; from visagist.training.config import TrainingConfig\n"
        "from visagist.training.trainer import train_model\n"
        "cls = methods.get('tint'); model = cls(cls.Config(), ('Smiling',), 16)\n"
        "told = TrainingConfig(images=256, batch_size=16)\n"
        "out = train_model(model, make_faces(), told, Path(sys.argv[1]), device='cpu')\n"
        "loaded, _ = load_model(out); x, one = torch.rand(2, 3, 16, 16), torch.ones(2, 1)\n"
        "assert not torch.equal(loaded.edit(x, one, one), loaded.edit(x, 0 * one, one))\n",
        str(tmp_path / "run"),
    )


@pytest.mark.slow
def test_a_method_added_as_one_file_is_picked_up_by_the_command_line(with_tint: Any, tmp_path: Path) -> None:
    from PIL import Image

    run, picture = tmp_path / "run", tmp_path / "face.png"
    settings = ["--set", "image_size=32", "--set", "batch_size=16", "--set", "validation_faces=16"]
    given = ["--data", "synthetic:120", "--attributes", "Smiling", "--images", "320", "--device", "cpu", "--no-calibrate"]
    Image.fromarray(np.full((32, 32, 3), 120, np.uint8)).save(picture)
    edited = tmp_path / "edited.png"
    train = ["train", "tint", *given, *settings, "--out", str(run)]
    edit = ["edit", str(run / "last"), str(picture), "--set", "Smiling=1", "--out", str(edited)]
    assert "tint" in with_tint("-c", ONE_PROCESS, json.dumps([["methods"], train, edit])).partition(SEPARATOR)[0]
    assert np.asarray(Image.open(edited)).shape == (32, 32, 3)
