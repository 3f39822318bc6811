"""The shipped finder, which finds the faces of `find_faces`."""

from __future__ import annotations

from visagist.faces.finder_training import CROP, FaceFinderConfig
from visagist.recipes import Recipe
from visagist.training.config import TrainingConfig

FINDER = Recipe(
    name="finder-120k",
    method="finder",
    attributes=(),
    config=FaceFinderConfig(drawn_grounds=1200),
    training=TrainingConfig(
        images=480_000,
        batch_size=32,
        schedule="cosine",
        final_learning_rate=0.0,
        warmup_images=10_000,
        ema_decay=0.998,
        validation_faces=200,
    ),
    image_size=128,
    crop=CROP,
    source="this project: the finder of find_faces",
    hours=2.5,
    note="aligned pictures at 128 pixels, read by landmarks-64, and drawn ones; --set grounds=FOLDER of other photographs",
)

RECIPES = (FINDER,)
