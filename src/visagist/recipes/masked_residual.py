"""Masked residuals and masked colours of fifteen attributes, on two CPU cores."""

from __future__ import annotations

from dataclasses import replace

from visagist.methods.masked_residual import MaskedResidualConfig
from visagist.recipes import Recipe
from visagist.training.config import TrainingConfig

FIFTEEN = Recipe(
    name="masked-residual/fifteen-64",
    method="masked-residual",
    attributes=(
        "Young", "Male", "Bangs", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Heavy_Makeup", "Wearing_Lipstick",
        "Bushy_Eyebrows", "Pale_Skin", "Rosy_Cheeks", "Bags_Under_Eyes", "Mustache", "Goatee",
    ),
    config=MaskedResidualConfig(teacher="teacher-64"),
    training=TrainingConfig(
        images=425_000,
        batch_size=48,
        schedule="cosine",
        final_learning_rate=0.02,
        warmup_images=2_400,
        ema_decay=0.998,
        validation_faces=240,
        validate_every_images=48_000,
        seed=0,
    ),
    source="this project: hair, skin, make-up and age of whole photographs",
    hours=1.5,
    note="the one training so far had other weights on the way: docs/log.md",
)  # fmt: skip

HAIR = replace(
    FIFTEEN,
    name="masked-residual/hair-80",
    attributes=("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"),
    image_size=80,
    crop="centre178",
    config=MaskedResidualConfig(
        form="colours",
        shared=True,
        width=40,
        crop="centre178",
        matched=("Male", "Young"),
        teacher="teacher-64,teacher-64-b",
        feature_channels=(48, 96, 160),
        teacher_weight=0.15,
        stay_weight=5.0,
        back_weight=0.0,
        pixel_weight=0.5,
        hue_weight=10.0,
        reach=1.2,
        discriminator_learning_rate=4e-4,
    ),
    training=replace(FIFTEEN.training, images=96_000, validate_every_images=8_000, keep_every_images=8_000),
    source="this project: colours of hair in whole photographs, by transforms of colour",
    hours=0.5,
    note="of what ships the first 62 832 images were of 80 000, with the forehead left alone",
)

RECIPES = (FIFTEEN, HAIR)
