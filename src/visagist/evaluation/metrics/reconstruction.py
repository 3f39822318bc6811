"""How near a reconstruction comes to its photograph: squared error, PSNR, structural similarity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import laplace

from visagist.evaluation.context import CHUNK, EvaluationContext, Images
from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import mean_ci, ratio_ci
from visagist.latent.backend import method_name
from visagist.pixels import SSIM_WINDOW, peak_signal_to_noise

METRICS = (
    Metric("reconstruction.mse", "mean squared error", better="lower", pages={
        "general": "", "tiles": "reconstruction error (MSE)", "comparison": "reconstruction MSE",
    }),
    Metric("reconstruction.psnr", "PSNR (dB)", pages={"general": ""}),
    Metric("reconstruction.ssim", "structural similarity", pages={"general": ""}),
    Metric("reconstruction.perceptual.{network}", "perceptual distance by {network}", better="lower", pages={"general": ""}),
    Metric("sharpness.reconstruction", "sharpness of reconstructions; photographs: 1", pages={
        "general": "", "tiles": "", "comparison": "sharpness of reconstructions",
    }),
    Metric("sharpness.samples", "sharpness of samples", pages={"general": "", "comparison": "of samples"}),
)  # fmt: skip


def measure_reconstruction(context: EvaluationContext) -> None:
    """`reconstruction.mse`, `psnr` and `ssim`, from float decodes."""
    results, made = context.results, context.reconstructions
    if made is None:
        results.not_computed["reconstruction.*"] = f"{context.editor.backend.name} has no autoencoder"
        return
    results.values["reconstruction.mse"] = mean_ci(made.squared_error.numpy(), context.seed)
    psnr = peak_signal_to_noise(made.squared_error)
    results.values["reconstruction.psnr"] = mean_ci(psnr.numpy(), context.seed)
    if context.faces.image_size < SSIM_WINDOW:
        results.not_computed["reconstruction.ssim"] = f"its window needs images of {SSIM_WINDOW} pixels"
    else:
        results.values["reconstruction.ssim"] = mean_ci(made.similarity.numpy(), context.seed)


def measure_perceptual(context: EvaluationContext) -> None:
    """`reconstruction.perceptual.NETWORK`: reconstruction and photograph in a network that knows distances, on a subset."""
    network: object = context.networks.perceptual
    if network is None and context.networks.features is not None:
        network = context.networks.features.network
    distance, missing = getattr(network, "distance", None), context.results.not_computed
    if not context.can("autoencode"):
        return
    if distance is None:
        missing["reconstruction.perceptual"] = (
            "no network of distances: give --perceptual lpips-alex:BACKBONE.pth,alex.pth or --features squeezenet11:FILE.h5"
        )
        return
    context.progress.describe("perceptual distance")
    rows = context.subset()
    key = f"reconstruction.perceptual.{getattr(network, 'name', 'network')}"
    context.results.values[key] = mean_ci(distance(context.faces.images[rows], context.unedited[rows]), context.seed)


LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue


def laplacian_variance(images: Images) -> NDArray[np.float64]:
    """The variance [N] of the 4-neighbour Laplacian of the luma of uint8 images [N, S, S, 3]; borders are reflected."""
    variances = []
    for start in range(0, len(images), CHUNK):
        luma = images[start : start + CHUNK] @ LUMA
        edges = np.stack([laplace(picture, mode="reflect") for picture in luma])
        variances.append(edges.var((1, 2)))
    return np.concatenate(variances)


def measure_sharpness(context: EvaluationContext) -> None:
    """`sharpness.*`: the mean variance of reconstructions and of samples over that of the photographs; 1 is as sharp."""
    results, name = context.results, method_name(context.editor)
    context.progress.describe("sharpness")
    real = laplacian_variance(context.faces.images)
    if not real.any():
        results.not_computed["sharpness.*"] = "these photographs have no edges at all"
        return
    made = {"reconstruction": ("autoencode", lambda: context.unedited), "samples": ("generate", lambda: context.samples)}
    for key, (capability, images) in made.items():
        if context.can(capability):
            results.values[f"sharpness.{key}"] = ratio_ci(laplacian_variance(images()), real, context.seed)
        else:
            results.not_computed[f"sharpness.{key}"] = f"{name} does not {capability}"
