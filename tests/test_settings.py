"""Words become typed settings, or a line that says why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from visagist.errors import VisagistError
from visagist.settings import apply_settings, parse_pairs


@dataclass(frozen=True)
class Colours:
    hue: Literal["red", "green"] = "red"
    bright: bool = False
    share: float = 0.5
    seed: int = 0


@dataclass(frozen=True)
class Budget:
    images: int = 100
    minutes: float | None = None
    name: str = "x"
    sizes: tuple[int, ...] = (1, 2)
    seed: int = 0


GROUPS = {"method": Colours(), "training": Budget()}


def applied(**settings: object) -> tuple[Colours, Budget]:
    groups = apply_settings(settings, GROUPS)
    return groups["method"], groups["training"]


def test_every_kind_of_field_is_read_from_text() -> None:
    colours, budget = applied(
        hue="green", bright="yes", share="1e-3", images="2_000", minutes="1.5", name="run", sizes="3,4,5"
    )
    assert colours == Colours("green", True, 0.001)
    assert budget == Budget(2000, 1.5, "run", (3, 4, 5))


def test_none_is_a_value_only_where_the_field_allows_it() -> None:
    assert applied(minutes="none")[1].minutes is None
    with pytest.raises(VisagistError, match="setting images is 'none': give a whole number"):
        applied(images="none")


def test_python_values_are_taken_as_they_are() -> None:
    colours, budget = applied(share=1, bright=True, sizes=(7,), minutes=None)
    assert (colours.share, colours.bright, budget.sizes) == (1.0, True, (7,))
    assert isinstance(colours.share, float)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("images", "many", "give a whole number"),
        ("images", "1.5", "give a whole number"),
        ("images", "0", "from 1 on"),
        ("images", True, "give a whole number"),
        ("share", "half", "give a number"),
        ("share", "nan", "give a number"),
        ("bright", "maybe", "give true or false"),
        ("hue", "gren", "did you mean green"),
        ("sizes", "1,two", "give a whole number"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_and_the_right_one_named(key: str, value: object, said: str) -> None:
    with pytest.raises(VisagistError, match=said):
        applied(**{key: value})


def test_an_unknown_key_offers_the_nearest() -> None:
    with pytest.raises(VisagistError, match="no setting 'minuts': did you mean minutes"):
        applied(minuts="3")


def test_a_key_of_two_groups_must_say_which_it_means() -> None:
    with pytest.raises(VisagistError, match=r"'seed' means method\.seed or training\.seed"):
        applied(seed="3")
    assert apply_settings({"training.seed": "3"}, GROUPS)["training"].seed == 3
    assert apply_settings({"training.seed": "3"}, GROUPS)["method"].seed == 0


def test_a_setting_is_given_once() -> None:
    with pytest.raises(VisagistError, match="given twice"):
        parse_pairs(["images=1", "images=2"])
    with pytest.raises(VisagistError, match="given twice"):
        apply_settings({"images": "1", "training.images": "2"}, GROUPS)


@pytest.mark.parametrize("pair", ["images", "=3", "images="])
def test_a_pair_has_a_key_and_a_value(pair: str) -> None:
    with pytest.raises(VisagistError, match="write key=value"):
        parse_pairs([pair])
