"""Every experiment is a value that can be trained, and says where its figures come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from visagist import recipes
from visagist.attributes import ATTRIBUTE_SETS, CELEBA_ATTRIBUTES, DERIVED
from visagist.errors import VisagistError
from visagist.methods.base import Method
from visagist.pipelines.plan import make_plan, trainables
from visagist.recipes.ifcvae_gan import TABLE_1_ROWS, TABLE_3_ROWS
from visagist.training.config import learning_rate_factor

NAMES = sorted(recipes.available())


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_fits_what_it_trains(name: str) -> None:
    recipe = recipes.get(name)
    trainable = trainables()[recipe.method]
    assert isinstance(recipe.config, trainable.Config)
    assert set(recipe.attributes) <= {*CELEBA_ATTRIBUTES, *DERIVED}
    conditioned = issubclass(trainable, Method) and "edit" in trainable.capabilities
    assert recipe.attributes or recipe.attribute_set or not conditioned
    assert recipe.attribute_set is None or (recipe.attribute_set in ATTRIBUTE_SETS and not recipe.attributes)
    assert recipe.negatives is None or recipe.attribute_set
    assert recipe.source
    assert recipe.hours > 0


@pytest.mark.parametrize("name", NAMES)
def test_expected_figures_are_shares_or_errors_under_the_keys_of_a_report(name: str) -> None:
    for key, value in recipes.get(name).expected.items():
        assert key.split(".")[0] in {"reconstruction", "edit", "classification", "judge", "leakage"}
        assert 0 <= value <= 1


def test_the_published_tables_are_there_row_by_row() -> None:
    rows = [tuple(r.expected.values()) for r in TABLE_1_ROWS]
    assert rows == [(0.028, 0.813, 1.0), (0.028, 0.938, 0.938), (0.028, 0.188, 0.813), (0.027, 0.0, 1.0)]
    assert [r.config.class_hat_weight for r in TABLE_1_ROWS] == [0.0, 0.1, 0.0, 0.1]
    assert [r.config.auxiliary_weight for r in TABLE_1_ROWS] == [1.0, 1.0, 0.0, 0.0]
    assert {r.config.form for r in TABLE_3_ROWS} == {"residual"}
    assert {r.training.images for r in TABLE_1_ROWS + TABLE_3_ROWS} == {1_627_700}


def test_introvac_is_trained_as_published() -> None:
    for row in ("eye", "facial", "eyefacial"):
        intro, vac = recipes.get(f"introvac/{row}-128"), recipes.get(f"vac/{row}-128")
        a, b = intro.config, vac.config
        assert (a.reconstruction_weight, a.class_weight, a.kl_weight) == (100, 10, 3)
        assert (a.fooling_weight, a.detecting_weight) == (5, 0.01)
        assert (b.reconstruction_weight, b.class_weight, b.kl_weight) == (100, 10, 3)
        assert {a.learning_rate, b.learning_rate} == {2e-4}
        assert {(c.width, c.latent) for c in (a, b)} == {(32, 256)}
        assert {intro.image_size, vac.image_size} == {128}
        assert {intro.training.batch_size, vac.training.batch_size} == {64}
        assert (intro.training.schedule, vac.training.schedule) == ("halving", "constant")
        assert vac.training.images / 600 == intro.training.images / 150
        assert vac.attributes == intro.attributes
        assert a.edit_delta == b.edit_delta == (3 if row == "eye" else 4)


def test_the_learning_rate_of_introvac_is_halved_at_epochs_60_90_and_120() -> None:
    training = recipes.get("introvac/eye-128").training
    rates = [learning_rate_factor(training, 0, epoch / 150) for epoch in (0, 59.9, 60, 89.9, 90, 119.9, 120, 150)]
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_the_small_vac_and_introvac_are_trained_equally_and_fit_a_zoo() -> None:
    intro, vac = recipes.get("introvac/eyefacial-64"), recipes.get("vac/eyefacial-64")
    assert intro.training == vac.training
    assert (intro.config.width, intro.config.latent) == (vac.config.width, vac.config.latent)
    model = trainables()["introvac"](intro.config, intro.attributes, intro.image_size)
    shipped = [v for k, v in model.state_dict().items() if k.split(".")[0] in model.inference_networks]
    assert 2 * sum(v.numel() for v in shipped) < 8 * 2**20


def test_settings_go_over_the_recipe_and_the_recipe_over_defaults() -> None:
    plan = make_plan(
        "ifcvae-gan", recipe="ifcvae-gan/table3-ours", images=128, seed=5, settings={"width": "8", "image_size": "32"}
    )
    assert (plan.config.form, plan.config.kl_weight, plan.config.width) == ("residual", 0.005, 8)
    assert (plan.training.images, plan.training.seed, plan.data.image_size) == (128, 5, 32)
    assert plan.attributes == ("Smiling",)


def test_the_two_judges_differ_in_architecture_augmentation_and_seed() -> None:
    a, b = recipes.get("judge-64"), recipes.get("judge-64-b")
    assert a.config.architecture != b.config.architecture
    assert a.config.augmentation != b.config.augmentation
    assert a.training.seed != b.training.seed


def test_an_unknown_recipe_offers_the_nearest() -> None:
    with pytest.raises(VisagistError, match="did you mean ifcvae-gan/table1-ours"):
        recipes.get("ifcvae-gan/table1-our")


def test_a_recipe_of_another_method_is_refused() -> None:
    with pytest.raises(VisagistError, match="is for ifcvae-gan, not cvae-gan"):
        make_plan("cvae-gan", recipe="ifcvae-gan/table1-ours")


def test_two_recipes_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = "from visagist.recipes.judges import JUDGE_64\nRECIPES = (JUDGE_64,)\n"
    (tmp_path / "twin_of_judges.py").write_text(twin)
    monkeypatch.setattr(recipes, "__path__", [*recipes.__path__, str(tmp_path)])
    with pytest.raises(VisagistError, match="two recipes are called 'judge-64'"):
        recipes.available()


def test_a_recipe_is_varied_without_touching_the_first() -> None:
    first = recipes.get("judge-64")
    assert replace(first, hours=2.0).hours != recipes.get("judge-64").hours
