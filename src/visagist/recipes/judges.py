"""The two attribute judges that ship with the package: `judge-64` scores, `judge-64-b` calibrates and never scores."""

from __future__ import annotations

from dataclasses import replace

from visagist.judges import CALIBRATING_JUDGE, SCORING_JUDGE
from visagist.judges.attribute import AttributeJudgeConfig
from visagist.recipes import Recipe
from visagist.training.config import TrainingConfig

JUDGE_64 = Recipe(
    name=SCORING_JUDGE,
    method="judge",
    attributes=(),
    config=AttributeJudgeConfig(
        architecture="squeeze_excite_resnet",
        augmentation="rotate_shift_erase",
        fold=1,
        stem=24,
        widths=(48, 96, 160, 256),
        depths=(1, 2, 2, 1),
    ),
    training=TrainingConfig(
        images=360_000,
        schedule="cosine",
        final_learning_rate=0.0,
        warmup_images=15_000,
        ema_decay=0.998,
        horizontal_flip=False,
        validation_faces=2400,
        validate_every_images=40_000,
        settle_faces=4000,
        seed=0,
    ),
    source="this project: the judge that scores",
    hours=0.5,
    expected={"judge.accuracy": 0.9082},
    note="all attributes that the data have",
)
JUDGE_64_B = replace(
    JUDGE_64,
    name=CALIBRATING_JUDGE,
    config=AttributeJudgeConfig(
        architecture="plain_conv",
        augmentation="stretch_gamma_shade",
        fold=1,
        widths=(24, 48, 96, 160, 224),
        depths=(1, 2, 2, 2, 1),
    ),
    training=replace(JUDGE_64.training, images=800_000, seed=1),
    hours=0.6,
    expected={"judge.accuracy": 0.9066},
    source="this project: the judge that calibrates strength",
    note="all attributes that the data have; other architecture, seed and augmentation than judge-64",
)

RECIPES = (JUDGE_64, JUDGE_64_B)
