"""The experiments of Shen and Liu (2017, arXiv:1612.05363), and narrower ones for two CPU cores.

Training faces are all faces of the rarer class and as many of the other. The paper gives neither epochs nor batch size;
here they are 40 epochs of the balanced faces, in batches of 16. The paper draws 1 000 test faces of each class; here test
faces are those of the official split.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from visagist.methods.residual_gan import ResidualGANConfig
from visagist.recipes import Recipe
from visagist.recipes.vae_wgan import RIVALS
from visagist.training.config import AS_PRINTED, TrainingConfig

VAE_GAN_64 = next(rival for rival in RIVALS if rival.name == "vae-gan/celeba-64")
PAPER = "Shen and Liu (2017), arXiv:1612.05363"
LOCAL, GLOBAL = 5e-4, 1e-6  # alpha, §5; §7 says 5e-6 for global attributes
# Faces of the rarer class among CelebA's 162 770 training faces, by its labels.
RARER = {
    "Eyeglasses": 10_521,
    "Mouth_Slightly_Open": 78_486,
    "Smiling": 78_080,
    "No_Beard": 26_991,
    "Young": 35_982,
    "Male": 68_261,
}
WHOLE_FACE = ("Young", "Male")
EPOCHS = 40
HOURS_A_MILLION = 25.0  # at 128 pixels on two CPU cores; the paper's networks need a GPU


def published(attribute: str, name: str) -> Recipe:
    """Make the recipe of one of the paper's six attributes, at its size and widths."""
    weight = GLOBAL if attribute in WHOLE_FACE else LOCAL
    images = EPOCHS * 2 * RARER[attribute]
    return Recipe(
        name=f"residual-gan/{name}-128",
        method="residual-gan",
        attributes=(attribute,),
        config=ResidualGANConfig(pixel_weight=weight, perceptual_weight=0.1 * weight),
        training=TrainingConfig(images=images, batch_size=16, **AS_PRINTED),
        source=f"{PAPER}, §5 and §6.1",
        hours=round(HOURS_A_MILLION * images / 1e6),
        image_size=128,
        note=f"{'global' if weight == GLOBAL else 'local'}: alpha {weight:g}",
    )


SIX = tuple(published(attribute, attribute.lower().replace("_", "-")) for attribute in RARER)
GLASSES = SIX[0]


def vary(name: str, note: str, **settings: Any) -> Recipe:
    """Make a variant of the recipe for glasses."""
    config = replace(GLASSES.config, **settings)
    return replace(GLASSES, name=f"residual-gan/{name}", config=config, source=f"{PAPER}, §6.2, Figure 6", note=note)


ABLATIONS = (
    vary("eyeglasses-128-no-residual", "the networks give the whole image", residual=False),
    vary("eyeglasses-128-no-dual", "no way back", dual=False),
)

# At 64 pixels on two cores images are better spent on steps, and a lighter alpha shows more of the edit (docs/log.md).
EYEGLASSES_64 = replace(
    GLASSES,
    name="residual-gan/eyeglasses-64",
    config=replace(
        GLASSES.config,
        width=32,
        discriminator_width=32,
        pixel_weight=2e-4,
        perceptual_weight=2e-5,
        learning_rate=4e-4,
    ),
    training=TrainingConfig(images=120_000, batch_size=8, schedule="cosine", final_learning_rate=0.05, ema_decay=0.999),
    source="this project: half the paper's widths at 64 pixels",
    hours=0.5,
    image_size=64,
    expected={"edit.Eyeglasses.success_0": 0.732, "edit.Eyeglasses.from_0.success_1": 0.877},
    note="half width, alpha 2e-4",
)
SMILING_64 = replace(
    EYEGLASSES_64,
    name="residual-gan/smiling-64",
    attributes=("Smiling",),
    training=replace(EYEGLASSES_64.training, images=80_000),
    expected={"edit.Smiling.success_0": 0.844, "edit.Smiling.from_0.success_1": 0.758},
    hours=0.35,
)
NO_BEARD_64 = replace(SMILING_64, name="residual-gan/no-beard-64", attributes=("No_Beard",), expected={})
ABLATIONS_64 = tuple(
    replace(
        EYEGLASSES_64,
        name=ablation.name.replace("128", "64"),
        expected={},
        config=replace(EYEGLASSES_64.config, residual=ablation.config.residual, dual=ablation.config.dual),
        note=f"{EYEGLASSES_64.note}, {ablation.note}",
    )
    for ablation in ABLATIONS
)

# The rival of Figures 4 and 7 at the paper's size; its networks, budget and batch are those of vae-gan/celeba-64.
VAE_GAN_128 = replace(
    VAE_GAN_64,
    name="vae-gan/celeba-128",
    image_size=128,
    hours=4 * VAE_GAN_64.hours,
    source=f"{PAPER}, §6.1 and §6.3, VAE-GAN",
    note="VAE/GAN at 128 pixels; it edits by attribute vectors",
)

RECIPES = (*SIX, *ABLATIONS, EYEGLASSES_64, SMILING_64, NO_BEARD_64, *ABLATIONS_64, VAE_GAN_128)
