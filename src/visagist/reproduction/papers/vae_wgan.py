"""Table 1 and Figures 3 to 13 of Hou, Sun, Shen and Qiu (2019, arXiv:1906.01984); Figures 4 and 6 are of CIFAR-10."""

from __future__ import annotations

from dataclasses import replace

from visagist.recipes.vae_wgan import PAPER
from visagist.reproduction.spec import Column, Layout, Reproduction, Row, SampleSheet, Sheet, View, Walks, Ways

SAMPLES, REBUILT = "realism.*.samples.frechet", "realism.*.reconstruction.frechet"
SHARP, INCEPTION = "sharpness.reconstruction", "is.samples"
NO_CLASSIFIER = (
    "the paper's inception scores are in its pictures, of a classifier that it does not name: ours are of FID's own "
    "weights, where those are given; Fréchet distances are of the feature network that is given, and not published"
)
VGG = "the features of a thin VGG-19, where one is given, are not those of the paper's: see docs/methods/vae-wgan.md"


def row(label: str, recipe: str, *keys: str) -> Row:
    """A model whose figures the paper does not print."""
    return Row(label, recipe, dict.fromkeys(keys), recipe.replace("celeba-64", "narrow-64"))


OURS = row("VAE-WGAN", "vae-wgan/celeba-64", SAMPLES, INCEPTION, REBUILT, "reconstruction.mse", SHARP)
WITH_CODES = (
    row("Plain VAE", "vae/celeba-64", SAMPLES, INCEPTION, REBUILT, "reconstruction.mse", SHARP),
    row("VAE/GAN", "vae-gan/celeba-64", SAMPLES, INCEPTION, REBUILT, "reconstruction.mse", SHARP),
    row("DFC-VAE, layers 1 to 3", "dfc-vae/celeba-64-123", SAMPLES, INCEPTION, REBUILT, "reconstruction.mse", SHARP),
    row("DFC-VAE, layers 3 to 5", "dfc-vae/celeba-64-345", SAMPLES, INCEPTION, REBUILT, "reconstruction.mse", SHARP),
    OURS,
)
WITHOUT = (
    row("DCGAN", "dcgan/celeba-64", SAMPLES, INCEPTION),
    row("WGAN", "wgan/celeba-64", SAMPLES, INCEPTION),
    row("LS-GAN", "ls-gan/celeba-64", SAMPLES, INCEPTION),
)
PICTURES = "CIFAR-10 has no faces: what judges say of its pictures is left out"
ON_CIFAR = tuple(
    replace(entry, recipe=entry.recipe.replace("celeba-64", "cifar10-32"), small=None) for entry in (*WITH_CODES, *WITHOUT)
)
LAYERS = tuple(row(f"relu{n}_1", f"vae-wgan/celeba-64-relu{n}_1", SAMPLES, REBUILT) for n in range(1, 6))
WEIGHTS = (
    row("alpha 1, beta .01", "vae-wgan/celeba-64-beta-.01", SAMPLES, REBUILT),
    row("alpha .01, beta 1", "vae-wgan/celeba-64-alpha-.01", SAMPLES, REBUILT),
    row("no reconstruction term", "vae-wgan/celeba-64-no-rec", SAMPLES),
)


def samples(rows: tuple[Row, ...]) -> tuple[SampleSheet, ...]:
    """Faces from the prior, of each row."""
    return tuple(SampleSheet(f"From the prior: {entry.label}", entry.label) for entry in rows)


def rebuilt(rows: tuple[Row, ...]) -> Sheet:
    """Test faces beside what each row makes of them."""
    return Sheet("Reconstructions", {}, tuple(Column(entry.label, entry.label) for entry in rows))


WALKED = ("Bald", "Black_Hair", "Eyeglasses", "Male", "Smiling", "Mustache")
FIVE = tuple(row(f"relu{n}_1", f"vae-wgan/celeba-64-relu{n}_1", REBUILT) for n in range(1, 6))
DFC = (row("VAE-123", "dfc-vae/celeba-64-123", REBUILT), row("VAE-345", "dfc-vae/celeba-64-345", REBUILT))
VIEWS = (
    *(View(f"view {entry.label}", (entry.label,)) for entry in FIVE),
    View("VAE-123", ("VAE-123",), 0.8695),
    View("VAE-345", ("VAE-345",), 0.8873),
    View("VAE-WGAN, five views", tuple(entry.label for entry in FIVE), 0.8888),
)

REPRODUCTIONS = (
    Reproduction(
        "vae-wgan/table1",
        "Attributes recognised by linear SVMs on codes",
        f"{PAPER}, Table 1",
        (*FIVE, *DFC),
        (),
        (
            VGG,
            "the mean over 40 attributes; each attribute beside the whole published table is in the folder recognition/",
            "the column VGG-FC is not run: it needs VGG's fully connected layers. The first four columns are of others",
        ),
        views=VIEWS,
    ),
    Reproduction(
        "vae-wgan/figures3-6",
        "Samples and reconstructions of eight methods",
        f"{PAPER}, Figures 3 to 6",
        (*WITH_CODES, *WITHOUT),
        (rebuilt(WITH_CODES), *samples((*WITH_CODES, *WITHOUT))),
        (
            NO_CLASSIFIER,
            VGG,
        ),
    ),
    Reproduction(
        "vae-wgan/figure4",
        "Samples of eight methods on CIFAR-10",
        f"{PAPER}, Figure 4",
        ON_CIFAR,
        samples(ON_CIFAR),
        (NO_CLASSIFIER, VGG, PICTURES),
        training_faces=50_000,
        trains_on="cifar10",
    ),
    Reproduction(
        "vae-wgan/figure6",
        "Reconstructions of five methods on CIFAR-10",
        f"{PAPER}, Figure 6",
        ON_CIFAR[: len(WITH_CODES)],
        (rebuilt(ON_CIFAR[: len(WITH_CODES)]),),
        (VGG, PICTURES),
        training_faces=50_000,
        trains_on="cifar10",
    ),
    Reproduction(
        "vae-wgan/figure7",
        "Samples by models of one layer each",
        f"{PAPER}, Figure 7",
        LAYERS,
        samples(LAYERS),
        (VGG,),
    ),
    Reproduction(
        "vae-wgan/figures8-10",
        "What alpha and beta do, and no reconstruction term",
        f"{PAPER}, Figures 8 to 10",
        WEIGHTS,
        (rebuilt(WEIGHTS[:2]), *samples(WEIGHTS)),
        (VGG,),
    ),
    Reproduction(
        "vae-wgan/figures11-13",
        "Ways between faces, walks along attribute vectors, a map of faces",
        f"{PAPER}, Figures 11 to 13",
        (OURS,),
        (
            Ways("Figure 11: linear interpolation", OURS.label),
            Walks("Figure 12: attribute vectors", OURS.label, WALKED),
            Layout("Figure 13: 25 × 25 faces", OURS.label),
        ),
        (VGG, "the paper's vectors are of 2 000 faces of each class: here of as many as there are, up to that"),
    ),
)
