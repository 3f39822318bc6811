"""How far edits by transport go: until the calibrating judge sees them, and no farther."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from doubles import BrightnessJudge, DoNothing, editor_of, plain_faces
from tiny_faces import make_faces
from tiny_models import tiny_model

from visagist import Editor, VisagistError
from visagist.checkpoints import checkpoint
from visagist.evaluation.context import EvaluationContext, JudgeScores
from visagist.evaluation.metrics.edits import measure_at_class
from visagist.latent.optimal_transport import FARTHEST, GOAL, STEP, fit_edit_extent, smallest_sufficient
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.pipelines import factor as factoring
from visagist.pipelines.factor import factor
from visagist.progress import StageBars


class SeesBrightness:
    """A judge of one attribute: present in pictures whose mean is above a level."""

    name, attributes = "brightness", ("Smiling",)

    def __init__(self, level: float) -> None:
        self.level = level

    def score(self, images: Any) -> Any:
        return (images.reshape(len(images), -1).mean(1, keepdims=True) > self.level).astype(np.float32)


def brightening() -> Editor:
    """An editor whose pictures are as bright as the first number of the code, and whose transport moves it from .3 to .5."""
    method: Any = tiny_model(IFcVAEGAN, ("Smiling",), transport="marginal").eval()
    latent = method.latent
    means = torch.zeros(2, latent)
    means[:, 0] = torch.tensor([0.3, 0.5])
    method.transport.set_attribute(0, means, torch.eye(latent), torch.ones(latent))
    method.posterior_mean = lambda x: (means[0].expand(len(x), -1), torch.full((len(x), 1), -9.0))
    method._decode = lambda z, y: z[:, :1, None, None].expand(-1, 3, 16, 16).clamp(0, 1)
    return Editor(method)


def test_an_edit_goes_on_until_the_judge_sees_it_and_no_farther() -> None:
    editor: Any = brightening()
    ((reach, seen),) = fit_edit_extent(editor, SeesBrightness(0.62 * 255), make_faces(40), ("Smiling",)).values()
    # At reach r an edit to present is as bright as .5 + .2 r: .62 lies between r = .5 and r = .75.
    assert reach == (0.0, 0.75)
    assert seen == (1.0, 1.0)
    torch.testing.assert_close(editor.backend.trained_method.transport.reach, torch.tensor([[0.0, 0.75]]))
    bright = editor.edit_arrays(make_faces(4).images, np.ones(1, np.float32), np.ones(1, np.float32)).mean() / 255
    assert bright == pytest.approx(0.65, abs=0.01)


def test_what_no_reach_shows_is_left_at_the_mean() -> None:
    editor: Any = brightening()
    ((reach, seen),) = fit_edit_extent(editor, SeesBrightness(500), make_faces(40), ("Smiling",)).values()
    assert (reach, seen) == ((0.0, 0.0), (1.0, 0.0))


def test_the_shortest_reach_at_the_goal_is_taken_or_the_shortest_near_the_best() -> None:
    asked: list[float] = []

    def rising(reach: float) -> float:
        asked.append(reach)
        return reach / 2

    assert smallest_sufficient(rising) == (2.0, 1.0)
    assert asked[-1] == 2.0, "nothing is tried beyond"
    assert smallest_sufficient(lambda reach: min(reach, 0.9 + 0.001 * reach) if reach < FARTHEST else 0.5) == (1.0, 0.901)
    assert smallest_sufficient(lambda reach: GOAL if reach == FARTHEST else 0.0) == (FARTHEST, GOAL)
    assert FARTHEST % STEP == 0


def test_the_judge_that_scores_is_refused() -> None:
    judge = SeesBrightness(0)
    judge.name = "judge-64"
    with pytest.raises(VisagistError, match="never calibrates"):
        fit_edit_extent(brightening(), judge, make_faces(40), ("Smiling",))


def test_a_factored_model_keeps_its_reach_and_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method: Any = tiny_model(IFcVAEGAN)
    with torch.no_grad():
        for name, value in method.named_parameters():
            if name.endswith(("heads.weight", "head.weight")):
                value.mul_(300)
    checkpoint.save_model(tmp_path / "model", checkpoint.describe(method, crop=None), method.state_dict())
    monkeypatch.setattr(factoring, "attributes_to_calibrate", lambda faces: (["Smiling"], ""))
    monkeypatch.setattr(factoring, "load_judge", lambda *_: SeesBrightness(-1))
    monkeypatch.setattr(factoring, "calibrate_run", lambda *_, **__: None)
    told: list[str] = []
    (fact,) = factor(tmp_path / "model", make_faces(300), out=tmp_path / "out", progress=StageBars(told.append, show=False))
    after: Any = Editor.from_pretrained(tmp_path / "out")
    assert fact.seen == (0.0, 1.0), "all that this judge sees is present"
    assert after.description["transport"][0]["reach"] == [0.0, 0.0]
    assert after.backend.trained_method.transport.reach.tolist() == [[0.0, 0.0]]
    assert any("edits to faces with Smiling go 0 beyond their mean, and 100.0% are seen" in line for line in told)


def test_an_edit_can_be_measured_where_it_stops_at_the_class_and_goes_no_farther() -> None:
    editor: Any = brightening()
    editor.backend.trained_method.transport.reach.copy_(torch.tensor([[0.0, 3.0]]))
    context = EvaluationContext(editor, JudgeScores(BrightnessJudge()), plain_faces(40), ("Smiling",), 0)
    measure_at_class(context, "Smiling")
    amount = editor.backend.trained_method.class_amount(0, 1)
    shown = editor.edit_arrays(context.faces.images[:2], np.ones(1, np.float32), np.full(1, amount, np.float32))
    assert shown.mean() / 255 == pytest.approx(0.5, abs=0.01), "and 1.1, if it went on by three distances"
    assert context.results["edit.Smiling.at_class.from_0.success_1"]["value"] == 1
    assert context.results["edit.Smiling.at_class.success_0"]["value"] == 1
    plain = EvaluationContext(editor_of(DoNothing()), JudgeScores(BrightnessJudge()), plain_faces(40), ("Smiling",), 0)
    measure_at_class(plain, "Smiling")
    assert "goes beyond the class" in plain.results.not_computed["edit.Smiling.at_class.*"]
