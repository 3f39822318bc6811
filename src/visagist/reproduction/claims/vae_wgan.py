"""The claims of Hou, Sun, Shen and Qiu (2019, arXiv:1906.01984)."""

from __future__ import annotations

from visagist.recipes.vae_wgan import PAPER as PAPER
from visagist.reproduction.claims.claim import AtLeast, Beats, Claim, Figures, NotMeasured

SAMPLES, REBUILT = "realism.*.samples.frechet", "realism.*.reconstruction.frechet"
EIGHT, OURS = "vae-wgan/figures3-6", "VAE-WGAN"
THIN = "a thin VGG-19 stands in for the paper's where the real one cannot be had"
DISTANCE = f"no inception scores: a Fréchet distance on another network stands in; {THIN}"
CLAIMS = (
    Claim(
        "Figure 3, §4.2.1",
        "VAE-WGAN has the highest inception score of seven methods on faces",
        EIGHT,
        Beats(
            SAMPLES,
            OURS,
            ("Plain VAE", "VAE/GAN", "DFC-VAE, layers 1 to 3", "DFC-VAE, layers 3 to 5", "DCGAN", "WGAN", "LS-GAN"),
            lower=True,
        ),
        DISTANCE,
    ),
    Claim(
        "Figure 4, §4.2.1",
        "and on CIFAR-10",
        "vae-wgan/figure4",
        Beats(SAMPLES, OURS, ("Plain VAE", "VAE/GAN", "DCGAN", "WGAN", "LS-GAN"), lower=True),
        f"needs CIFAR-10; {DISTANCE}",
    ),
    Claim(
        "Figure 5, §4.2.2",
        "VAE-WGAN reconstructs faces better than Plain VAE, DFC-VAE and VAE/GAN",
        EIGHT,
        Beats(REBUILT, OURS, ("Plain VAE", "VAE/GAN", "DFC-VAE, layers 1 to 3", "DFC-VAE, layers 3 to 5"), lower=True),
        DISTANCE,
    ),
    Claim(
        "Figure 6, §4.2.2",
        "and CIFAR-10's images",
        "vae-wgan/figure6",
        Beats(REBUILT, OURS, ("Plain VAE", "VAE/GAN", "DFC-VAE, layers 1 to 3", "DFC-VAE, layers 3 to 5"), lower=True),
        f"needs CIFAR-10; {DISTANCE}",
    ),
    Claim(
        "Figures 3 and 5, §4.2",
        "Plain VAE is blurry, features make it sharper",
        EIGHT,
        Beats("sharpness.reconstruction", "DFC-VAE, layers 1 to 3", ("Plain VAE",)),
        THIN,
    ),
    Claim(
        "Figure 7, §4.2.3",
        "all layers together are better than one",
        EIGHT,
        Beats(SAMPLES, OURS, tuple(("vae-wgan/figure7", f"relu{n}_1") for n in range(1, 6)), lower=True),
        DISTANCE,
    ),
    Claim(
        "Figure 7, §4.2.3",
        "lower layers alone draw blurred hair and background, higher ones sharper faces whose eyes and mouths are wrong",
        "vae-wgan/figure7",
        NotMeasured("samples are drawn; sharpness is read in reconstructions alone"),
        "the figure has no numbers",
    ),
    Claim(
        "§3.4",
        "labels of 1 and −1 let the training collapse, those of 100 bend structures, 10 and −10 balance",
        EIGHT,
        NotMeasured("no row has other labels"),
        "the paper shows nothing of it; what a critic learns here is in docs/log.md",
    ),
    Claim(
        "Figures 8 and 9, §4.2.4",
        "a bigger beta reconstructs better",
        "vae-wgan/figures8-10",
        Beats(REBUILT, "alpha .01, beta 1", ("alpha 1, beta .01",), lower=True),
        DISTANCE,
    ),
    Claim(
        "Figures 8 and 9, §4.2.4",
        "a bigger alpha samples as it reconstructs, a bigger beta samples badly",
        "vae-wgan/figures8-10",
        Beats(SAMPLES, "alpha 1, beta .01", ("alpha .01, beta 1",), lower=True),
        DISTANCE,
    ),
    Claim(
        "Figure 8, §4.2.4",
        "samples of a bigger alpha lack diversity",
        "vae-wgan/figures8-10",
        NotMeasured("samples are drawn and compared with photographs as a whole"),
        "the figure has no numbers",
    ),
    Claim(
        "Figure 10, §4.2.4",
        "without the reconstruction term samples are like those of DCGAN and WGAN",
        "vae-wgan/figures8-10",
        Figures((("no reconstruction term", SAMPLES),)),
        "the figure has no numbers",
    ),
    Claim(
        "Table 1, §4.4",
        "linear SVMs on five codes recognise 40 attributes with 88.88 %, more than on those of VAE-123 and VAE-345",
        "vae-wgan/table1",
        Beats("recognition.*.accuracy", "VAE-WGAN, five views", ("VAE-123", "VAE-345")),
        f"SVMs are fitted on 6 000 faces at the scales study and small; {THIN}",
    ),
    Claim(
        "Table 1, §4.4",
        "the mean accuracies are 86.95 % (VAE-123), 88.73 % (VAE-345) and 88.88 %",
        "vae-wgan/table1",
        Figures(tuple((label, "recognition.*.accuracy") for label in ("VAE-123", "VAE-345", "VAE-WGAN, five views"))),
        "always answering with the commoner class has some 80 %: read the balanced accuracy beside it",
    ),
    Claim(
        "Table 1, §4.4",
        "that is slightly better than the state of the art, LNets+ANet with 87.30 %",
        "vae-wgan/table1",
        AtLeast("VAE-WGAN, five views", "recognition.*.accuracy", 0.873),
        f"LNets+ANet's figure is the paper's; SVMs are fitted on 6 000 faces at the scales study and small; {THIN}",
    ),
    Claim(
        "Table 1, §4.4",
        "it is not the best for every attribute, as for Mouth_Slightly_Open and Wearing_Lipstick",
        "vae-wgan/table1",
        NotMeasured("each attribute's accuracy is in the table that `visagist reproduce` writes into recognition/"),
        "the methods that are better there are not run",
    ),
    Claim(
        "Figure 12, §4.3.2",
        "attribute vectors edit one attribute of a face",
        "vae-wgan/figures11-13",
        NotMeasured("walks are drawn; `visagist directions` measures them (docs/directions.md)"),
        "the figure has no numbers",
    ),
    Claim(
        "Figures 11 and 13, §4.3",
        "the latent space is smooth, and like faces lie together in it",
        "vae-wgan/figures11-13",
        NotMeasured("ways and a map are drawn; the map's trustworthiness stands beside it on the page"),
        "the figures have no numbers",
    ),
    Claim(
        "§4.1",
        "training takes 10 hours and a face .012 s on a GTX 1080 Ti",
        EIGHT,
        NotMeasured("that processor is not at hand; docs/speed.md has ours"),
        "another processor",
    ),
)
