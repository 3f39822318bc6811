"""The shipped landmark network, which predicts five points in the faces of `find_faces`."""

from __future__ import annotations

from visagist.faces.landmark_training import CROP, LandmarkFinderConfig
from visagist.recipes import Recipe
from visagist.training.config import TrainingConfig

LANDMARKS_64 = Recipe(
    name="landmarks-64",
    method="landmarks",
    attributes=(),
    config=LandmarkFinderConfig(),
    training=TrainingConfig(
        images=520_000,
        batch_size=64,
        schedule="cosine",
        final_learning_rate=0.0,
        warmup_images=10_000,
        ema_decay=0.998,
        validation_faces=400,
    ),
    image_size=96,
    crop=CROP,
    source="this project: the landmark network of find_faces",
    hours=0.5,
    note="aligned pictures at 96 pixels, read by MTCNN's output network (--set teacher=FILE), and drawn faces",
)

RECIPES = (LANDMARKS_64,)
