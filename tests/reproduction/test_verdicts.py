"""What the verdict of a reproduction says of a figure of ours beside a published one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny_faces import make_faces

from visagist.data import load_data
from visagist.evaluation.results import Metrics
from visagist.evaluation.statistics import Measure, student_reach
from visagist.reproduction.spec import available
from visagist.reproduction.verdicts import VerdictCell, add_between_runs, better, compare, decide, missing, other_data

MSE, SUCCESS = "reconstruction.mse", "edit.Smiling.success_0"


def measure(value: float, low: float, high: float) -> Measure:
    return Measure(value=value, low=low, high=high, n=100)


@pytest.mark.parametrize(
    ("key", "published", "ours", "said"),
    [
        (SUCCESS, 0.98, measure(0.9, 0.85, 0.98), "reached"),
        (SUCCESS, 0.98, measure(0.9, 0.85, 0.97), "short by 0.08"),
        (SUCCESS, 0.28, measure(0.9, 0.85, 0.97), "reached"),
        (MSE, 0.011, measure(0.012, 0.011, 0.013), "reached"),
        (MSE, 0.011, measure(0.015, 0.014, 0.016), "short by 0.004"),
        (MSE, 0.011, measure(0.005, 0.004, 0.006), "reached"),
    ],
)
def test_reached_is_the_favourable_end_of_the_interval(key: str, published: float, ours: Measure, said: str) -> None:
    assert compare(key, published, ours) == said


def test_errors_and_distances_are_better_lower() -> None:
    assert [better(key) for key in (MSE, "realism.net.reconstruction.frechet", SUCCESS)] == ["lower", "lower", "higher"]
    assert [better(f"correlations.ours.{key}") for key in ("err", "outside")] == ["lower", "lower"]
    assert better("correlations.ours.reads.Male.change") == "nearer to 0"


def test_every_published_figure_is_declared_by_a_metric() -> None:
    for reproduction in available().values():
        rows = [*reproduction.rows, *reproduction.gains]
        keys = {key for row in rows for key in (*row.published, *row.incomparable)}
        for key in keys:
            assert better(key), key
    with pytest.raises(KeyError, match="no METRICS declare warmth"):
        better("warmth.reconstruction")


def test_what_should_be_equal_is_reached_where_the_interval_holds_it() -> None:
    key = "labels.No_Beard.Male.correlation"
    assert better(key) == "equal"
    assert compare(key, -0.5222, measure(-0.521, -0.525, -0.517)) == "reached"
    assert compare(key, -0.5222, measure(-0.507, -0.514, -0.5)) == "short by 0.0152"
    assert compare(key, -0.5222, measure(-0.6, -0.61, -0.59)) == "short by 0.0778"
    read = "correlations.ours.reads.Male.change"
    assert compare(read, 0.1, measure(-0.2, -0.3, -0.05)) == "reached"
    assert compare(read, 0.1, measure(0.2, 0.15, 0.3)) == "short by 0.1"


def test_a_verdict_says_first_why_figures_do_not_compare() -> None:
    metrics = Metrics({MSE: measure(0.01, 0.009, 0.012), "realism.net.reconstruction.frechet": measure(9.0, 8.0, 10.0)})
    plain = decide("ours", MSE, 0.011, metrics)
    assert (plain.verdict, plain.compared) == ("reached", "reached")
    drawn = decide("ours", MSE, 0.011, metrics, data="drawn faces")
    assert (drawn.verdict, drawn.compared) == ("not comparable because drawn faces", "reached")
    other = decide("ours", "realism.*.reconstruction.frechet", 25.5, metrics, incomparable="it is a FID")
    assert (other.key, other.verdict) == ("realism.net.reconstruction.frechet", "not comparable because it is a FID")
    assert other.compared is None
    assert decide("ours", MSE, None, metrics).verdict == "not comparable because no value is published"
    absent = decide("ours", SUCCESS, 0.98, Metrics(not_computed={"edit.Smiling.success_*": "no face has the attribute"}))
    assert absent.verdict == "not run: needs other faces (no face has the attribute)"
    assert missing("ours", SUCCESS, 0.98, "faces labelled Smiling").verdict == "not run: needs faces labelled Smiling"


def test_only_the_whole_of_celeba_is_the_data_of_the_papers() -> None:
    faces = make_faces(count=48)
    whole = replace(faces, manifest={"source": "celeba:img", "crop": "centre148"})
    assert other_data(whole, 32) is None
    assert other_data(whole, 33) == "a part of CelebA, 32 of 33 training faces"
    assert other_data(replace(faces, manifest={"source": "folder:mine"}), 32) == "other faces, folder:mine"
    assert other_data(load_data("synthetic:20", image_size=16), 16) == "drawn faces"


def test_over_seeds_the_verdict_is_of_their_mean_and_as_wide_as_they_are_apart() -> None:
    def cell(value: float) -> VerdictCell:
        ours = measure(value, value - 0.01, value + 0.01)
        return VerdictCell("ours", SUCCESS, 0.9, ours, compare(SUCCESS, 0.9, ours), compare(SUCCESS, 0.9, ours))

    values = [0.95, 0.80, 0.70]
    lucky = cell(values[0]).to_json()
    assert lucky["verdict"] == "reached"
    cells = [lucky]
    add_between_runs(cells, [[cell(value)] for value in values])
    assert lucky["between_runs"]["mean"] == pytest.approx(0.8167, abs=1e-3)
    assert lucky["between_runs"]["sd"] == pytest.approx(0.1258, abs=1e-3)
    assert student_reach(values) == pytest.approx(4.303 * 0.1258 / 3**0.5, rel=1e-3)
    assert lucky["verdict"] == "reached", "three runs so far apart do not say that it is not"
    steady = cell(0.91).to_json()
    add_between_runs([steady], [[cell(value)] for value in (0.91, 0.86, 0.86, 0.85, 0.87)])
    assert steady["verdict"] == steady["compared"] == "short by 0.03", "the first seed alone reaches it"


def test_one_seed_says_nothing_of_the_spread_between_runs() -> None:
    only = VerdictCell("ours", SUCCESS, 0.9, measure(0.95, 0.94, 0.96), "reached", "reached")
    cells = [only.to_json()]
    add_between_runs(cells, [[only]])
    assert "between_runs" not in cells[0]


def test_the_lowest_judge_decides_of_a_success_and_its_ceiling_stands_beside_it() -> None:
    def measure(value: float) -> Measure:
        return Measure(value=value, low=value, high=value, n=10)

    key, way = "edit.Smiling.success_0", "panel.Smiling.taken"
    values = {
        key: measure(0.99), f"{way}.success": measure(0.6), f"{way}.ceiling": measure(0.7), f"{way}.judges": measure(2),
        f"{way}.judge-64.success": measure(0.98), f"{way}.geometry.success": measure(0.6),
    }  # fmt: skip
    cell = decide("ours", key, 0.98, Metrics(values))
    assert (cell.verdict, cell.ours) == ("short by 0.38", measure(0.6))
    assert cell.to_json()["judges"] == {"judge-64": measure(0.98), "geometry": measure(0.6)}
    assert cell.to_json()["ceiling"] == measure(0.7)
    del values[f"{way}.geometry.success"]
    alone = decide("ours", key, 0.98, Metrics(values))
    assert (alone.verdict, alone.ours) == ("reached", measure(0.99))
    assert "judges" not in decide("ours", "reconstruction.mse", 1, Metrics({"reconstruction.mse": measure(0.5)})).to_json()


def test_a_success_of_a_model_that_ignores_its_label_is_not_reached() -> None:
    metrics = Metrics({
        "edit.Smiling.success_0": measure(1.0, 0.99, 1.0), "edit.Smiling.success_sum": measure(1.0, 0.99, 1.02),
        "edit.Smiling.from_0.success_1": measure(0.9, 0.88, 0.92),
        "edit.Smiling.from_0.success_sum": measure(1.9, 1.8, 1.95),
    })  # fmt: skip
    cell = decide("naive", "edit.Smiling.success_0", 0.98, metrics)
    assert cell.verdict == "not comparable because the model ignores the label: both successes add up to 1.00"
    assert cell.compared is None
    assert decide("ours", "edit.Smiling.from_0.success_1", 0.9, metrics).verdict == "reached"
