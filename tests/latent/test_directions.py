"""Directions of planted Gaussians, whose right answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from latent_toys import linear_toy
from numpy.typing import NDArray

from visagist.errors import VisagistError
from visagist.latent.direction_types import Codes
from visagist.latent.directions import (
    FITS,
    KINDS,
    conditioned,
    discriminant,
    fit_directions,
    linear_svm,
    logistic_regression,
    mean_difference,
    orient,
)

NAMES = ("Eyeglasses", "Male")


def cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def gaussians(number: int, shift: list[float], covariance: NDArray[np.float64], seed: int = 0) -> Codes:
    """Two Gaussians that differ by `shift`, one in four in the second."""
    draw = np.random.default_rng(seed)
    present = draw.random(number) < 0.25
    z = draw.multivariate_normal(np.full(len(shift), 5.0), covariance, number) + present[:, None] * np.array(shift)
    return Codes(z, present[:, None].astype(np.uint8), ("Eyeglasses",))


def beside_a_nuisance(number: int = 20000, agreement: float = 0.9, seed: int = 1) -> Codes:
    """Axis 0 is shifted by Eyeglasses and axis 1, further, by Male; the labels agree in this share of the faces."""
    draw = np.random.default_rng(seed)
    male = draw.random(number) < 0.5
    glasses = np.where(draw.random(number) < agreement, male, ~male)
    z = draw.standard_normal((number, 5))
    z[:, 0] += 2 * glasses
    z[:, 1] += 3 * male
    return Codes(z, np.stack([glasses, male], 1).astype(np.uint8), NAMES)


COVARIANCE = np.array([[2.0, 0.9, 0.0, 0.0], [0.9, 1.0, 0.3, 0.0], [0.0, 0.3, 0.5, 0.0], [0.0, 0.0, 0.0, 3.0]])
SHIFT = [1.0, -0.5, 0.0, 0.7]


def test_the_mean_difference_is_the_shift_of_the_means() -> None:
    codes = gaussians(40000, SHIFT, COVARIANCE)
    assert cosine(mean_difference(codes.z, codes.present("Eyeglasses")), np.array(SHIFT)) > 0.995


def test_the_discriminant_is_the_inverse_covariance_times_the_shift() -> None:
    codes = gaussians(40000, SHIFT, COVARIANCE)
    truth = np.linalg.solve(COVARIANCE, SHIFT)
    assert cosine(truth, np.array(SHIFT)) < 0.8  # so the mean difference would be another answer
    assert cosine(discriminant(codes.z, codes.present("Eyeglasses")), truth) > 0.995


@pytest.mark.parametrize("fit", [logistic_regression, linear_svm])
def test_normals_of_gaussians_with_one_covariance_are_the_discriminant(fit: object) -> None:
    codes = gaussians(40000, SHIFT, COVARIANCE)
    assert cosine(fit(codes.z, codes.present("Eyeglasses")), np.linalg.solve(COVARIANCE, SHIFT)) > 0.99  # type: ignore[operator]


@pytest.mark.parametrize("kind", FITS)
def test_every_fit_has_length_one_points_to_the_attribute_and_turns_with_the_labels(kind: str) -> None:
    codes = gaussians(4000, SHIFT, COVARIANCE)
    present = codes.present("Eyeglasses")
    there = FITS[kind](codes.z, present)
    assert np.linalg.norm(there) == pytest.approx(1, abs=1e-12)
    assert codes.z[present].mean(0) @ there > codes.z[~present].mean(0) @ there
    np.testing.assert_allclose(FITS[kind](codes.z, ~present), -there, atol=1e-3)
    np.testing.assert_array_equal(FITS[kind](codes.z, present), there)


@pytest.mark.parametrize("kind", FITS)
def test_a_direction_does_not_depend_on_where_and_how_large_the_codes_are(kind: str) -> None:
    codes = gaussians(4000, SHIFT, COVARIANCE)
    present = codes.present("Eyeglasses")
    np.testing.assert_allclose(FITS[kind](100 * codes.z - 7, present), FITS[kind](codes.z, present), atol=2e-3)


@pytest.mark.parametrize("kind", ["logistic", "svm", "lda"])
def test_a_dimension_that_hardly_varies_is_no_long_part_of_a_direction(kind: str) -> None:
    codes = gaussians(300, SHIFT, COVARIANCE)
    still = 1e-4 * np.random.default_rng(5).standard_normal((300, 40))
    found = FITS[kind](np.concatenate([codes.z, still], 1), codes.present("Eyeglasses"))
    assert np.linalg.norm(found[4:]) < 0.1


def test_a_nuisance_that_goes_with_the_attribute_bends_the_mean_difference_and_conditioning_straightens_it() -> None:
    plain, bare = fit_directions(None, beside_a_nuisance(), ["Eyeglasses"], ["Male"], ["mean"])
    assert plain.vector[1] > 0.7  # mostly Male: 2.4 along axis 1 beside 2 along axis 0
    assert (plain.label, bare.label) == ("mean", "mean given Male")
    # Male's own mean difference is bent by Eyeglasses as well, so a part of axis 1 stays; the move along Male does not.
    male = fit_directions(None, beside_a_nuisance(), ["Male"], (), ["mean"])[0]
    assert abs(bare.vector @ male.vector) < 1e-9
    assert bare.vector[0] > 0.85 > plain.vector[0]


def test_conditioning_gives_the_true_axis_where_the_others_direction_is_true() -> None:
    codes = beside_a_nuisance()
    plain = mean_difference(codes.z, codes.present("Eyeglasses"))
    assert conditioned(plain, np.eye(5)[1:2])[0] > 0.999
    # Who is Male tells much of who wears glasses, so a normal leans on that axis as well.
    for kind in ("logistic", "svm", "lda"):
        assert FITS[kind](codes.z, codes.present("Eyeglasses"))[1] > 0.3


def test_a_conditioned_direction_is_at_right_angles_to_every_other_and_of_length_one() -> None:
    draw = np.random.default_rng(3)
    direction, others = draw.standard_normal(20), draw.standard_normal((4, 20))
    others[3] = others[2] + 1e-9 * others[1]  # the same direction twice is one
    left = conditioned(direction, others)
    assert np.abs(others @ left).max() <= 1e-6
    assert np.linalg.norm(left) == pytest.approx(1, abs=1e-12)
    assert left @ direction > 0


@pytest.mark.parametrize("kind", [*FITS, "classifier"])
def test_every_kind_is_conditioned_by_the_same_kind(kind: str) -> None:
    codes = replace(beside_a_nuisance(2000), z=np.pad(beside_a_nuisance(2000).z, ((0, 0), (0, 1))))
    method = linear_toy(NAMES)
    bare = fit_directions(method, codes, ["Eyeglasses"], ["Male"], [kind])[1]
    male = fit_directions(method, codes, ["Male"], (), [kind])[0]
    assert abs(bare.vector @ male.vector) <= 1e-6
    assert bare.stand_ins == ()


def test_what_lies_in_the_span_of_the_others_is_refused() -> None:
    with pytest.raises(VisagistError, match=r"nothing is left .* condition on fewer"):
        conditioned(np.array([1.0, 1.0, 0.0]), np.array([[1.0, 0.0, 0.0], [1.0, 2.0, 0.0]]))
    with pytest.raises(VisagistError, match=r"others are \[K, 3\]"):
        conditioned(np.ones(3), np.ones((1, 4)))
    codes = beside_a_nuisance(500)
    twins = replace(codes, labels=codes.labels[:, [0, 0]])
    with pytest.raises(VisagistError, match="Eyeglasses by lda, given Male: nothing is left"):
        fit_directions(None, twins, ["Eyeglasses"], ["Male"], ["lda"])


def test_the_classifiers_weight_is_turned_toward_the_labels_and_what_it_does_not_know_is_stood_in_for() -> None:
    codes = replace(beside_a_nuisance(1000), z=np.pad(beside_a_nuisance(1000).z, ((0, 0), (0, 1))))
    method = linear_toy(("Eyeglasses",))
    plain, bare = fit_directions(method, codes, ["Eyeglasses"], ["Male"], ["classifier"])
    weight = method.directions()[0].detach().double().numpy()
    assert abs(plain.vector @ weight) == pytest.approx(1)
    np.testing.assert_array_equal(plain.vector, orient(plain.vector, codes.z, codes.present("Eyeglasses")))
    assert bare.stand_ins == ("Male",)
    logistic = fit_directions(method, codes, ["Male"], (), ["logistic"])[0]
    assert abs(bare.vector @ logistic.vector) <= 1e-6
    with pytest.raises(VisagistError, match="no linear classifier of Male"):
        fit_directions(method, codes, ["Male"], (), ["classifier"])


def test_kinds_are_those_that_the_model_has_and_steps_are_counted_alike_in_all() -> None:
    codes = replace(beside_a_nuisance(1000), z=np.pad(beside_a_nuisance(1000).z, ((0, 0), (0, 1))))
    with_classifier = fit_directions(linear_toy(("Eyeglasses",)), codes, ["Eyeglasses"])
    assert tuple(d.kind for d in with_classifier) == KINDS
    assert tuple(d.kind for d in fit_directions(None, codes, ["Eyeglasses"])) == tuple(FITS)
    assert {d.unit for d in with_classifier} == {float((codes.z @ with_classifier[1].vector).std())}
    glasses = int(codes.labels[:, 0].sum())
    assert {(d.n_with, d.n_without) for d in with_classifier} == {(glasses, 1000 - glasses)}


def test_an_attribute_is_never_conditioned_on_itself_or_its_parts() -> None:
    codes = beside_a_nuisance(1000)
    assert [d.given for d in fit_directions(None, codes, ["Male"], ["Male"], ["mean"])] == [()]
    beards = replace(codes, names=("No_Beard", "Male"))
    found = fit_directions(None, beards, ["Facial_Hair"], ["No_Beard", "Male"], ["mean"])
    assert [d.given for d in found] == [(), ("Male",)]


def test_one_class_the_same_code_and_unknown_names_are_refused() -> None:
    codes = beside_a_nuisance(100)
    with pytest.raises(VisagistError, match="100 training faces 0 have Eyeglasses"):
        fit_directions(None, replace(codes, labels=0 * codes.labels), ["Eyeglasses"])
    with pytest.raises(VisagistError, match=r"same place|no difference"):
        fit_directions(None, replace(codes, z=np.full_like(codes.z, 0.1)), ["Eyeglasses"])
    with pytest.raises(VisagistError, match="no kind of direction 'svn': did you mean svm"):
        fit_directions(None, codes, ["Eyeglasses"], (), ["svn"])
    with pytest.raises(VisagistError, match="did you mean Eyeglasses"):
        fit_directions(None, codes, ["Eyeglases"])
