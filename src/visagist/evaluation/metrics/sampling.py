"""How often chains asked for an attribute end where the model's own classifier accepts them, and what the judge sees there.

Of models that classify their codes (Maggipinto, Terzi and Susto, 2020, §4.3). Chains and rejection are those of
`visagist sample` with its own settings.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch

from visagist.attributes import reads_as
from visagist.evaluation.context import EvaluationContext
from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import Measure, mean_ci
from visagist.latent.backend import torch_method
from visagist.latent.conditional_sampling import DEFAULT, CodeClassifier, Rate, SamplingConfig, chain_ends, rate
from visagist.methods.base import Code
from visagist.pixels import to_pixels

CHAINS = 256
METRICS = tuple(
    Metric(f"sampling.{{A}}.{kind}_{{value}}", f"{words}, {{A}} = {{value}}", "share", pages={"general": ""})
    for kind, words in (
        ("acceptance", "chains accepted"), ("prior", "plain draws accepted"), ("judged", "samples judged as asked"),
    )
)  # fmt: skip


def measure_acceptance(context: EvaluationContext, attribute: str, settings: SamplingConfig = DEFAULT) -> None:
    """`sampling.A.*_0` and `*_1`: `acceptance` of chains, that of plain draws (`prior`), and the share `judged` as asked."""
    editor, results, key = context.editor, context.results, f"sampling.{attribute}"
    if not context.can("classify_latent"):
        results.not_computed["sampling.*"] = f"{editor.backend.name} does not classify its codes"
        return
    method = torch_method(editor, "a chain of codes")
    context.progress.describe(f"{attribute}: samples with and without")
    for value in (0, 1):
        z, accepted, plain = chain_ends(
            cast(CodeClassifier, method), {attribute: value}, CHAINS, settings, seed=context.seed, device=context.device
        )
        results.values[f"{key}.acceptance_{value}"] = _measure(rate(accepted))
        results.values[f"{key}.prior_{value}"] = _measure(rate(plain))
        if not context.scorer.knows(attribute):
            results.not_computed[f"{key}.judged_{value}"] = f"{context.scorer.judge.name} does not know the attribute"
        elif not accepted.any():
            results.not_computed[f"{key}.judged_{value}"] = "no chain was accepted"
        else:
            with torch.inference_mode():
                pictures = np.concatenate([to_pixels(method.decode(Code(part))) for part in z[accepted].split(64)])
            scores = context.scorer.column(context.scorer.score(pictures), attribute)
            results.values[f"{key}.judged_{value}"] = mean_ci(reads_as(scores, bool(value)), context.seed)


def _measure(share: Rate) -> Measure:
    return Measure(value=share.value, low=share.low, high=share.high, n=share.n)
