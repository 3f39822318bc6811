"""What is fitted once a run is trained is what its method asks for."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_models import tiny_model

from visagist.judges import AttributeJudge
from visagist.methods.dcgan import DCGAN
from visagist.methods.ifcvae_gan import IFcVAEGAN


class Asked:
    """A finished run that notes what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def fit_transport(self) -> None:
        self.calls.append("transport")

    def calibrate_strength(self) -> None:
        self.calls.append("strength")


@pytest.mark.parametrize(
    ("model", "calls"),
    [
        (tiny_model(DCGAN, ()), ["strength"]),
        (tiny_model(IFcVAEGAN), ["strength"]),
        (tiny_model(IFcVAEGAN, transport="marginal"), ["transport", "strength"]),
        (AttributeJudge(AttributeJudge.Config(), ("Smiling",), 64), []),
    ],
    ids=["method", "labels", "transport", "judge"],
)
def test_a_method_has_its_strength_calibrated_after_its_transport_and_a_judge_has_nothing_fitted(
    model: Any, calls: list[str]
) -> None:
    run = Asked()
    model.fit_after_training(run)
    assert run.calls == calls
