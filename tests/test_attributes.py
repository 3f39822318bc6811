"""The names of the attributes, and what is said about a name that is none."""

from __future__ import annotations

import numpy as np
import pytest

from visagist.attributes import (
    ATTRIBUTE_SETS,
    CELEBA_ATTRIBUTES,
    DERIVED,
    EXCLUSIVE_GROUPS,
    FORM_OF_HAIR,
    NECK_SIDES,
    REGIONS,
    attribute_column,
    attribute_columns,
    check_attributes,
    check_available,
    check_set,
    conflicts,
    describe_rule,
    equivalent_attribute,
    related_attributes,
    rules_in_use,
    with_derived,
)
from visagist.errors import VisagistError, nearest


def test_there_are_forty_attributes_in_the_order_of_celeba() -> None:
    assert len(CELEBA_ATTRIBUTES) == len(set(CELEBA_ATTRIBUTES)) == 40
    assert list(CELEBA_ATTRIBUTES) == sorted(CELEBA_ATTRIBUTES)
    assert CELEBA_ATTRIBUTES.index("Smiling") == 31


def test_groups_and_regions_speak_of_known_attributes() -> None:
    named = {name for group in EXCLUSIVE_GROUPS for name in group} | REGIONS.keys()
    named |= {part for rule in DERIVED.values() for part, _ in rule.parts}
    named |= {name for names in ATTRIBUTE_SETS.values() for name in names}
    assert named <= {*CELEBA_ATTRIBUTES, *DERIVED}
    assert not set(CELEBA_ATTRIBUTES) & set(DERIVED)


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


PARTS = ("No_Beard", "Goatee", "Mustache")


def test_a_face_has_facial_hair_where_it_lacks_no_beard_or_has_a_goatee_or_a_mustache() -> None:
    labels = np.array([[n, g, m] for n in (0, 1) for g in (0, 1) for m in (0, 1)], np.uint8)
    found = attribute_column(labels, PARTS, "Facial_Hair")
    assert found.tolist() == [1, 1, 1, 1, 0, 1, 1, 1]
    assert found.dtype == np.uint8


def test_of_probabilities_facial_hair_is_the_largest_part_and_passes_a_threshold_exactly_where_one_does() -> None:
    by_hand = np.array([[0.9, 0.2, 0.05], [0.3, 0.2, 0.1], [0.8, 0.1, 0.7]], np.float32)
    np.testing.assert_allclose(attribute_column(by_hand, PARTS, "Facial_Hair"), [0.2, 0.7, 0.7], rtol=1e-6)
    scores = np.random.default_rng(0).random((500, 3), np.float32)
    seen = (scores[:, 0] < 0.5) | (scores[:, 1] > 0.5) | (scores[:, 2] > 0.5)
    assert 0 < seen.sum() < 500
    np.testing.assert_array_equal(attribute_column(scores, PARTS, "Facial_Hair") > 0.5, seen)


def test_a_column_that_is_there_goes_before_the_rule() -> None:
    labels = np.array([[1, 1], [0, 0]], np.uint8)
    assert attribute_column(labels, ("No_Beard", "Facial_Hair"), "Facial_Hair").tolist() == [1, 0]
    assert with_derived(("No_Beard", "Facial_Hair")) == ("No_Beard", "Facial_Hair")
    assert rules_in_use(["Facial_Hair"], ("No_Beard", "Facial_Hair")) == {}


def test_columns_come_in_the_order_asked_for_derived_ones_among_them() -> None:
    labels = np.array([[1, 0, 0, 1], [0, 0, 1, 0]], np.uint8)
    found = attribute_columns(labels, (*PARTS, "Young"), ("Young", "Facial_Hair", "No_Beard"))
    assert found.tolist() == [[1, 0, 1], [0, 1, 0]]
    assert attribute_columns(labels, (*PARTS, "Young"), ()).shape == (2, 0)


def test_no_beard_alone_is_the_rule_where_the_rest_is_not_known_and_the_rule_says_so() -> None:
    assert with_derived(("No_Beard", "Young")) == ("No_Beard", "Young", "Facial_Hair")
    labels = np.array([[1, 0], [0, 1]], np.uint8)
    assert attribute_column(labels, ("No_Beard", "Young"), "Facial_Hair").tolist() == [0, 1]
    assert describe_rule("Facial_Hair") == "not No_Beard, or Goatee, or Mustache"
    assert rules_in_use(["Young", "Facial_Hair"], ("No_Beard", "Young")) == {
        "Facial_Hair": "not No_Beard (Goatee, Mustache not known)"
    }


def test_what_cannot_be_derived_is_refused_with_what_is_missing() -> None:
    assert with_derived(("Goatee", "Mustache")) == ("Goatee", "Mustache")
    with pytest.raises(VisagistError, match=r"no attribute 'Facial_Hair' in beards.*it is not No_Beard, or.*with No_Beard$"):
        check_available(["Facial_Hair"], ("Goatee", "Mustache"), "beards")


def test_a_derived_attribute_is_offered_where_a_name_is_misspelt() -> None:
    assert check_available(["Facial_Hair", "Young"], CELEBA_ATTRIBUTES) == ("Facial_Hair", "Young")
    with pytest.raises(VisagistError, match="did you mean Facial_Hair"):
        check_available(["Facial_Hiar"], CELEBA_ATTRIBUTES)


def test_the_kin_of_an_attribute_are_its_parts_and_what_it_is_a_part_of() -> None:
    assert related_attributes("Facial_Hair") == {"Facial_Hair", *PARTS}
    assert related_attributes("Goatee") == {"Goatee", "Facial_Hair"}
    assert related_attributes("Smiling") == {"Smiling"}


def test_the_sets_are_those_of_the_paper_and_an_unknown_one_is_refused() -> None:
    assert check_set("Eye") == ("Eyeglasses",)
    assert check_set("Facial") == ("Facial_Hair",)
    assert check_set("EyeFacial") == ("Eyeglasses", "Facial_Hair")
    with pytest.raises(VisagistError, match=r"no attribute set 'facial': did you mean .*Facial"):
        check_set("facial")


def test_an_equivalent_attribute_says_the_same_or_the_opposite() -> None:
    assert equivalent_attribute("No_Beard", ("Smiling", "No_Beard", "Facial_Hair")) == ("No_Beard", 1)
    assert equivalent_attribute("No_Beard", ("Smiling", "Facial_Hair")) == ("Facial_Hair", -1)
    assert equivalent_attribute("Facial_Hair", ("No_Beard", "Goatee")) == ("No_Beard", -1)
    assert equivalent_attribute("Goatee", ("Facial_Hair",)) is None  # a part among others, which it does not need
    assert equivalent_attribute("Smiling", ("No_Beard",)) is None


def test_where_long_hair_falls_is_beside_where_a_beard_shows_most() -> None:
    left, right = NECK_SIDES
    assert left[2] + right[0] == 1  # alike on both sides
    assert left[1] == right[1] == REGIONS["No_Beard"][1]
    middle = (REGIONS["No_Beard"][0] + REGIONS["No_Beard"][2]) / 2
    assert left[2] < middle < right[0]
    assert set(FORM_OF_HAIR) <= set(CELEBA_ATTRIBUTES)
