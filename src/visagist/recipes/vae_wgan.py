"""The experiments of Hou, Sun, Shen and Qiu (2019, arXiv:1906.01984), its rivals, and narrower ones for two CPU cores.

Five epochs of CelebA's 162 770 training faces, or of CIFAR-10's 50 000 pictures, in batches of 64; Adam at 5e-4, halved
after each epoch (§4.1). The rivals have the networks, budget and batch of VAE-WGAN, and the optimisers of their own
papers; WGAN splits a batch of 320 among its five critic steps.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from visagist.methods.dcgan import DCGANConfig
from visagist.methods.dfc_vae import DFCVAEConfig
from visagist.methods.ls_gan import LSGANConfig
from visagist.methods.vae import VAEConfig
from visagist.methods.vae_gan import VAEGANConfig
from visagist.methods.vae_wgan import VAEWGANConfig
from visagist.methods.wgan import WGANConfig
from visagist.networks.pretrained.vgg19 import LAYERS
from visagist.recipes import Recipe
from visagist.training.config import AS_PRINTED, TrainingConfig

PAPER = "Hou et al. (2019), arXiv:1906.01984"
CELEBA_EPOCH, CIFAR_EPOCH, EPOCHS = 162_770, 50_000, 5
EACH_EPOCH = (0.2, 0.4, 0.6, 0.8)
LOW, HIGH = LAYERS[:3], LAYERS[2:]
# Training at 64 pixels on two CPU cores; the paper's networks and the full VGG-19 need a GPU.
HOURS_A_MILLION = 30.0

CELEBA = Recipe(
    name="vae-wgan/celeba-64",
    method="vae-wgan",
    attributes=(),
    config=VAEWGANConfig(),
    training=TrainingConfig(
        images=EPOCHS * CELEBA_EPOCH, batch_size=64, schedule="halving", halve_at=EACH_EPOCH, **AS_PRINTED
    ),
    source=f"{PAPER}, §4.1",
    hours=round(HOURS_A_MILLION * EPOCHS * CELEBA_EPOCH / 1e6),
    note="relu1_1 to relu5_1, alpha 1, beta .5",
)


def vary(name: str, note: str, source: str, **settings: Any) -> Recipe:
    """Make a variant of VAE-WGAN on CelebA."""
    return replace(
        CELEBA, name=f"vae-wgan/{name}", config=replace(CELEBA.config, **settings), source=f"{PAPER}, {source}", note=note
    )


def rival(method: str, name: str, config: Any, title: str) -> Recipe:
    """Make the recipe of another method with the same data, networks and budget."""
    training = replace(CELEBA.training, batch_size=64 * getattr(config, "critic_steps", 1))
    return replace(
        CELEBA, name=name, method=method, config=config, training=training, source=f"{PAPER}, §4.2, {title}", note=title
    )


ABLATIONS = (
    *(vary(f"celeba-64-{layer}", f"{layer} alone", "§4.2.3 and §4.3.4", layers=(layer,)) for layer in LAYERS),
    vary("celeba-64-beta-.01", "alpha 1, beta .01", "§4.2.4", reconstruction_weight=0.01),
    vary("celeba-64-alpha-.01", "alpha .01, beta 1", "§4.2.4", kl_weight=0.01, reconstruction_weight=1.0),
    vary("celeba-64-no-rec", "no reconstruction term", "§4.2.4, Figure 10", reconstruction_weight=0.0),
    vary("celeba-64-pixels", "the critic reads pixels", "our question", critic_reads="pixels"),
)
RIVALS = (
    rival("vae", "vae/celeba-64", VAEConfig(), "Plain VAE"),
    rival("dfc-vae", "dfc-vae/celeba-64-123", DFCVAEConfig(layers=LOW), "DFC-VAE, VAE-123"),
    rival("dfc-vae", "dfc-vae/celeba-64-345", DFCVAEConfig(layers=HIGH), "DFC-VAE, VAE-345"),
    rival("vae-gan", "vae-gan/celeba-64", VAEGANConfig(), "VAE/GAN"),
    rival("dcgan", "dcgan/celeba-64", DCGANConfig(architecture="dcgan"), "DCGAN"),
    rival("wgan", "wgan/celeba-64", WGANConfig(architecture="dcgan"), "WGAN"),
    rival("ls-gan", "ls-gan/celeba-64", LSGANConfig(architecture="dcgan"), "LS-GAN"),
)


def on_cifar(recipe: Recipe) -> Recipe:
    """Make the variant of a recipe for CIFAR-10, at 32 pixels."""
    return replace(
        recipe,
        name=recipe.name.replace("celeba-64", "cifar10-32"),
        image_size=32,
        training=replace(recipe.training, images=EPOCHS * CIFAR_EPOCH),
        hours=round(HOURS_A_MILLION / 4 * EPOCHS * CIFAR_EPOCH / 1e6),
        note=f"{recipe.note}; --data cifar10:PATH",
    )


CIFAR = tuple(on_cifar(recipe) for recipe in (CELEBA, *RIVALS))
NARROW_IMAGES = 150_000
# DFC-VAE sums its layers without weights. At the scale of VAE-WGAN they dominate alpha = 1: codes hold 900 nats, far from
# the prior. With this weight a code holds about as much as that of VAE-WGAN.
NARROW_DFC_KL = 100.0
# Images a second of width 16 on one core with native bf16, VGG-19 thinned to a sixteenth; two cores give some 1.7 times.
RATES = {
    "vae-wgan": 38, "vae": 270, "dfc-vae": 67, "vae-gan": 77, "dcgan": 183, "wgan": 183, "ls-gan": 183,
}  # fmt: skip


def narrow(recipe: Recipe) -> Recipe:
    """Make a variant for two CPU cores: a quarter of the width and of the batch, with four times the steps."""
    changes: dict[str, Any] = {name: 16 for name in ("width", "critic_width") if hasattr(recipe.config, name)}
    if recipe.method == "dfc-vae":
        changes["kl_weight"] = NARROW_DFC_KL
    training = replace(
        recipe.training,
        images=NARROW_IMAGES,
        batch_size=recipe.training.batch_size // 4,
        schedule="cosine",
        final_learning_rate=0.05,
        ema_decay=0.999,
        precision="auto",
        horizontal_flip=True,
    )
    return replace(
        recipe,
        name=recipe.name.replace("celeba-64", "narrow-64"),
        config=replace(recipe.config, **changes),
        training=training,
        source=f"this project: {recipe.name} for two cores",
        hours=round(NARROW_IMAGES / (1.7 * RATES[recipe.method]) / 3600, 2),
        note=f"a quarter of the width; {recipe.note}",
    )


NARROW = tuple(narrow(recipe) for recipe in (CELEBA, *ABLATIONS, *RIVALS))

RECIPES = (CELEBA, *ABLATIONS, *RIVALS, *CIFAR, *NARROW)
