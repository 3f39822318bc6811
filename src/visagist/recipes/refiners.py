"""Refiners, which make edits look like photographs."""

from __future__ import annotations

from dataclasses import replace

from visagist.recipes import Recipe
from visagist.refining.refiner import RefinerConfig
from visagist.training.config import TrainingConfig

PARTS = ("Smiling", "Mouth_Slightly_Open", "Eyeglasses", "No_Beard")
REFINER_PARTS = Recipe(
    name="refiner-parts",
    method="refiner",
    attributes=PARTS,
    image_size=128,
    config=RefinerConfig(images_before_edits=160_000, edit_gan_weight=1.0),
    training=TrainingConfig(
        images=190_000,
        batch_size=48,
        schedule="cosine",
        final_learning_rate=0.05,
        warmup_images=2_400,
        ema_decay=0.998,
        validation_faces=96,
        seed=0,
    ),
    source="this project: parts of faces painted anew",
    hours=1.2,
    expected={},
    note="learns from the edits of shipped models; a third of the faces shown are painted; needs a file of VGG-19; "
    "what ships is of 185 952 faces, under a cosine over 250 000",
)

REFINER_MORE = replace(
    REFINER_PARTS,
    name="refiner-parts/more",
    attributes=(*PARTS, "Mustache", "Goatee", "Bangs", "Wearing_Hat"),
    config=replace(REFINER_PARTS.config, images_before_edits=30_000, edit_gan_weight=0.2, learning_rate=2e-4),
    training=replace(REFINER_PARTS.training, images=76_800, validation_faces=64, validate_every_images=12_000),
    source="this project: more parts of faces, from the weights of refiner-parts",
    hours=0.5,
    note="begins with a run of refiner-parts, --set start=RUN/best; Goatee and Wearing_Hat are left out of what ships",
)

RECIPES = (REFINER_PARTS, REFINER_MORE)
