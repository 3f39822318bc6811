"""The experiments of Maggipinto, Terzi and Susto (2020, arXiv:2008.00760), and a pair for two CPU cores.

The three data sets are parts of CelebA: the faces with an attribute, and an unpublished number without. Here an epoch is
the training faces with it, 10 521 with glasses, 27 374 with facial hair and 34 484 with either, and equally many without.
The crop is not published either; here it is the usual centre crop.
"""

from __future__ import annotations

from dataclasses import replace

from visagist.methods.introvac import IntroVACConfig
from visagist.methods.vac import VACConfig
from visagist.recipes import Recipe
from visagist.training.config import AS_PRINTED, TrainingConfig

PAPER = "Maggipinto et al. (2020), arXiv:2008.00760"
EYE_EPOCH, FACIAL_EPOCH, EYEFACIAL_EPOCH = 2 * 10_521, 2 * 27_374, 2 * 34_484
# At 128 pixels on two CPU cores, estimated from a step of the small pair; the paper's networks need a GPU.
HOURS_A_MILLION, VAC_HOURS_A_MILLION = 50, 16

EYE_128 = Recipe(
    name="introvac/eye-128",
    method="introvac",
    attributes=(),
    attribute_set="Eye",
    config=IntroVACConfig(edit_delta=3.0),
    training=TrainingConfig(images=150 * EYE_EPOCH, batch_size=64, schedule="halving", **AS_PRINTED),
    source=f"{PAPER}, §4.1, Eye",
    hours=round(HOURS_A_MILLION * 150 * EYE_EPOCH / 1e6),
    image_size=128,
    note="150 epochs of the Eye set, halved at 60, 90 and 120",
)
FACIAL_128 = replace(
    EYE_128,
    name="introvac/facial-128",
    attribute_set="Facial",
    config=IntroVACConfig(edit_delta=4.0),
    training=replace(EYE_128.training, images=150 * FACIAL_EPOCH),
    source=f"{PAPER}, §4.1, Facial",
    hours=round(HOURS_A_MILLION * 150 * FACIAL_EPOCH / 1e6),
    note="150 epochs of the Facial set, halved at 60, 90 and 120",
)
EYEFACIAL_128 = replace(
    FACIAL_128,
    name="introvac/eyefacial-128",
    attribute_set="EyeFacial",
    training=replace(EYE_128.training, images=150 * EYEFACIAL_EPOCH),
    source=f"{PAPER}, §4.1, EyeFacial; Table 1, IntroVAC: FID of reconstructions 25.5",
    hours=round(HOURS_A_MILLION * 150 * EYEFACIAL_EPOCH / 1e6),
    note="150 epochs of the EyeFacial set, halved at 60, 90 and 120; both at once by delta 5 is amount .625 of each",
)
EYEFACIAL_128_VAC_FIRST = replace(
    EYEFACIAL_128,
    name="introvac/eyefacial-128-vac-first",
    config=replace(EYEFACIAL_128.config, vac_images=5 * EYEFACIAL_EPOCH),
    source=f"{PAPER}, §4.1, EyeFacial, as the released code begins",
    note="the first five epochs as a VAC",
)


def variational(recipe: Recipe, edit_delta: float, epoch: int) -> Recipe:
    """Make the recipe of the VAC for an IntroVAC: 600 epochs, constant learning rate (§4.1)."""
    return replace(
        recipe,
        name=recipe.name.replace("introvac/", "vac/"),
        method="vac",
        config=VACConfig(edit_delta=edit_delta),
        training=replace(recipe.training, images=600 * epoch, schedule="constant"),
        source=recipe.source.replace("IntroVAC: FID of reconstructions 25.5", "VAC: FID of reconstructions 63.9"),
        hours=round(VAC_HOURS_A_MILLION * 600 * epoch / 1e6),
        note="600 epochs at a constant rate, four times those of IntroVAC",
    )


VAC_EYE_128 = variational(EYE_128, 3.0, EYE_EPOCH)
VAC_FACIAL_128 = variational(FACIAL_128, 4.0, FACIAL_EPOCH)
VAC_EYEFACIAL_128 = variational(EYEFACIAL_128, 4.0, EYEFACIAL_EPOCH)
VAC_EYEFACIAL_128_EQUAL = replace(
    VAC_EYEFACIAL_128,
    name="vac/eyefacial-128-equal",
    training=EYEFACIAL_128.training,
    source=f"{PAPER}, Table 1, VAC, but with the training of IntroVAC",
    hours=round(VAC_HOURS_A_MILLION * 150 * EYEFACIAL_EPOCH / 1e6),
    note="the 150 epochs of IntroVAC, which the paper's comparison does not give it",
)

EYEFACIAL_64 = replace(
    EYEFACIAL_128,
    name="introvac/eyefacial-64",
    config=IntroVACConfig(
        width=16,
        vac_images=80_000,
        kl_weight=0.1,
        real_weight=3.0,
        detecting_weight=1.5,
        fooling_weight=1.0,
        edit_rule="plane",
        learning_rate=4e-4,
        adam_beta1=0.5,
    ),
    negatives=2.0,
    training=TrainingConfig(
        images=240_000, batch_size=32, schedule="cosine", final_learning_rate=0.4, warmup_images=3_200, ema_decay=0.999
    ),
    source="this project: the shipped editor of glasses and facial hair",
    hours=0.7,
    expected={
        "reconstruction.mse": 0.0180,
        "edit.Eyeglasses.at_strength.from_0.success_1": 0.899,
        "edit.Eyeglasses.at_strength.success_0": 0.911,
        "edit.Facial_Hair.at_strength.from_0.success_1": 0.964,
        "edit.Facial_Hair.at_strength.success_0": 0.985,
    },
    image_size=64,
    note="half the paper's width, 2.6 million parameters; a game in balance, see docs/methods/introvac.md",
)
VAC_EYEFACIAL_64 = replace(
    EYEFACIAL_64,
    name="vac/eyefacial-64",
    method="vac",
    expected={},
    config=VACConfig(width=16, kl_weight=0.1, edit_delta=100.0, learning_rate=4e-4, adam_beta1=0.5),
    source="this project: a VAC beside introvac/eyefacial-64",
    hours=0.3,
    note="the same networks, images and schedule",
)

RECIPES = (
    EYE_128,
    FACIAL_128,
    EYEFACIAL_128,
    EYEFACIAL_128_VAC_FIRST,
    VAC_EYE_128,
    VAC_FACIAL_128,
    VAC_EYEFACIAL_128,
    VAC_EYEFACIAL_128_EQUAL,
    EYEFACIAL_64,
    VAC_EYEFACIAL_64,
)
