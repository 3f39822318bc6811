"""The names of the attributes, and what is said about a name that is none."""

from __future__ import annotations

import pytest

from visagist.attributes import CELEBA_ATTRIBUTES, EXCLUSIVE_GROUPS, REGIONS, check_attributes, conflicts
from visagist.errors import VisagistError, nearest


def test_there_are_forty_attributes_in_the_order_of_celeba() -> None:
    assert len(CELEBA_ATTRIBUTES) == len(set(CELEBA_ATTRIBUTES)) == 40
    assert list(CELEBA_ATTRIBUTES) == sorted(CELEBA_ATTRIBUTES)
    assert CELEBA_ATTRIBUTES.index("Smiling") == 31


def test_groups_and_regions_speak_of_known_attributes() -> None:
    named = {name for group in EXCLUSIVE_GROUPS for name in group} | REGIONS.keys()
    assert named <= set(CELEBA_ATTRIBUTES)


def test_regions_lie_within_the_face() -> None:
    for left, top, right, bottom in REGIONS.values():
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1


def test_known_names_come_back_in_the_order_asked_for() -> None:
    assert check_attributes(["Young", "Bald"], CELEBA_ATTRIBUTES) == ("Young", "Bald")


@pytest.mark.parametrize(("typed", "meant"), [("Smilling", "Smiling"), ("eyeglasses", "Eyeglasses"), ("blond", "Blond")])
def test_an_unknown_attribute_is_refused_with_the_nearest_names(typed: str, meant: str) -> None:
    with pytest.raises(VisagistError, match=f"no attribute '{typed}' in the data: did you mean .*{meant}"):
        check_attributes([typed], CELEBA_ATTRIBUTES)


def test_an_attribute_named_twice_is_refused() -> None:
    with pytest.raises(VisagistError, match="named twice: Bald, Bald; name each once"):
        check_attributes(["Bald", "Bald"], CELEBA_ATTRIBUTES)


def test_names_that_are_like_none_are_answered_with_what_there_is() -> None:
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
    assert nearest("zzz", []) == "none is known"
    assert nearest("zzz", [f"name{i:02d}" for i in range(20)]).endswith("name11, …")


def test_a_face_cannot_be_blond_and_black_haired_but_may_lack_both() -> None:
    assert conflicts({"Blond_Hair": True, "Black_Hair": True, "Smiling": True}) == [("Blond_Hair", "Black_Hair")]
    assert conflicts({"Blond_Hair": True, "Black_Hair": False}) == []
    assert conflicts({"No_Beard": True, "Goatee": True, "Mustache": True}) == [
        ("No_Beard", "Goatee"),
        ("No_Beard", "Mustache"),
    ]
