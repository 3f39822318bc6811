"""Refiners, which make edits look like photographs."""

from __future__ import annotations

from visagist.recipes import Recipe
from visagist.refining.refiner import RefinerConfig
from visagist.training.config import TrainingConfig

PARTS = ("Smiling", "Mouth_Slightly_Open", "Eyeglasses", "No_Beard")
REFINER_PARTS = Recipe(
    name="refiner-parts",
    method="refiner",
    attributes=PARTS,
    image_size=128,
    config=RefinerConfig(),
    training=TrainingConfig(
        images=120_000,
        batch_size=48,
        schedule="cosine",
        final_learning_rate=0.05,
        warmup_images=800,
        ema_decay=0.998,
        validation_faces=256,
        seed=0,
    ),
    source="this project: parts of faces painted anew",
    hours=2.0,
    expected={},
    note="learns from the edits of shipped models; needs a file of VGG-19 and `teacher-64`",
)

RECIPES = (REFINER_PARTS,)
