"""The attribute judges that ship with the package.

`judge-64`, `judge-64-robust` and `judge-128` score. Those that end in `-b` calibrate and select, and never score.
`teacher-64` is in the training loss of refiners, and neither scores nor calibrates. All but the first two are robust: they
are trained with what models do to pictures.
"""

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
JUDGE_128 = replace(
    JUDGE_64,
    name="judge-128",
    image_size=128,
    config=AttributeJudgeConfig(
        architecture="attentive_resnet",
        augmentation="rotate_shift_erase",
        degraded=0.7,
        stem=32,
        widths=(96, 192, 320),
        depths=(2, 3, 2),
    ),
    training=replace(JUDGE_64.training, images=180_000, seed=11),
    hours=0.5,
    expected={},
    source="this project: the robust judge that scores",
    note="all attributes that the data have; trained with what models do to pictures",
)
JUDGE_128_B = replace(
    JUDGE_128,
    name="judge-128-b",
    config=AttributeJudgeConfig(
        architecture="plain_conv",
        augmentation="stretch_gamma_shade",
        degraded=0.7,
        widths=(32, 64, 96, 160, 224),
        depths=(1, 2, 2, 2, 1),
    ),
    training=replace(JUDGE_64.training, images=400_000, seed=12),
    hours=0.6,
    source="this project: the robust judge that calibrates strength",
    note="all attributes that the data have; other architecture, seed and augmentation than judge-128",
)
# Of the side of most models, and with a first layer at half of it, they train at twice the speed of judge-64 on one core.
JUDGE_64_ROBUST = replace(
    JUDGE_128,
    name="judge-64-robust",
    image_size=64,
    config=AttributeJudgeConfig(
        architecture="attentive_resnet",
        augmentation="rotate_shift_erase",
        degraded=0.7,
        fold=2,
        stem=40,
        widths=(96, 192, 288),
        depths=(2, 2, 1),
    ),
    training=replace(JUDGE_64.training, images=90_000, warmup_images=6_000, seed=21),
    hours=0.1,
    source="this project: the robust judge that scores pictures of 64 pixels",
)
JUDGE_64_ROBUST_B = replace(
    JUDGE_64_ROBUST,
    name="judge-64-robust-b",
    config=AttributeJudgeConfig(
        architecture="squeeze_excite_resnet",
        augmentation="stretch_gamma_shade",
        degraded=0.7,
        fold=2,
        stem=32,
        widths=(64, 112, 192),
        depths=(1, 2, 1),
    ),
    training=replace(JUDGE_64_ROBUST.training, seed=22),
    source="this project: the robust judge of pictures of 64 pixels that calibrates",
    note="all attributes that the data have; other architecture, seed and augmentation than judge-64-robust",
)
TEACHER_64 = replace(
    JUDGE_128_B,
    name="teacher-64",
    image_size=64,
    config=AttributeJudgeConfig(
        architecture="plain_conv",
        augmentation="stretch_gamma_shade",
        degraded=0.7,
        fold=1,
        widths=(24, 48, 96, 160, 224),
        depths=(1, 1, 1, 1, 1),
    ),
    training=replace(JUDGE_64.training, images=110_000, seed=13),
    hours=0.3,
    source="this project: the classifier in the training loss of refiners",
    note="all attributes that the data have; it neither scores nor calibrates",
)

TEACHER_64_B = replace(
    TEACHER_64,
    name="teacher-64-b",
    config=AttributeJudgeConfig(
        architecture="attentive_resnet",
        augmentation="rotate_shift_erase",
        degraded=0.7,
        stem=16,
        widths=(48, 96, 160),
        depths=(1, 2, 1),
    ),
    training=replace(JUDGE_64.training, images=150_000, seed=14),
    note="all attributes that the data have; beside teacher-64, as two are harder to fool than one",
)

RECIPES = (
    JUDGE_64, JUDGE_64_B, JUDGE_64_ROBUST, JUDGE_64_ROBUST_B, JUDGE_128, JUDGE_128_B, TEACHER_64, TEACHER_64_B,
)  # fmt: skip
