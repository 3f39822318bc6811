"""What a face costs: networks that only training needs are no part of it."""

from __future__ import annotations

import numpy as np
from tiny_models import tiny_model

from visagist.evaluation.metrics.cost import count_parameters
from visagist.latent.direction_method import DirectionMethod
from visagist.latent.direction_types import Direction
from visagist.methods.vae_wgan import VAEWGAN


def test_the_critic_is_no_cost_of_use_with_vectors_or_without() -> None:
    model = tiny_model(VAEWGAN)
    needed = sum(p.numel() for part in (model.encoder, model.decoder) for p in part.parameters())
    vector = Direction("Smiling", "mean", np.eye(model.config.latent)[0], 1.0, length=1.0, middle=0.0)
    assert sum(p.numel() for p in model.critic.parameters()) > 0
    assert count_parameters(model) == count_parameters(DirectionMethod(model, [vector], by_length=True)) == needed
