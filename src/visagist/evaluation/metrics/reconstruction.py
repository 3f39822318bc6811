"""How near a reconstruction comes to its photograph: squared error, PSNR, structural similarity."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import laplace
from torch import Tensor

from visagist.evaluation.context import CHUNK, EvaluationContext, Images
from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import mean_ci
from visagist.latent.backend import method_name
from visagist.pixels import to_float, to_pixels

WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
LEAST_ERROR = 1e-10
BATCH = 64
METRICS = (
    Metric("reconstruction.mse", "mean squared error", better="lower", pages={
        "general": "", "tiles": "reconstruction error (MSE)", "comparison": "reconstruction MSE",
    }),
    Metric("reconstruction.psnr", "PSNR (dB)", pages={"general": ""}),
    Metric("reconstruction.ssim", "structural similarity", pages={"general": ""}),
    Metric("reconstruction.perceptual.{network}", "perceptual distance by {network}", better="lower", pages={"general": ""}),
    Metric("sharpness.reconstruction", "sharpness of reconstructions; photographs: 1", pages={
        "general": "", "comparison": "sharpness of reconstructions",
    }),
    Metric("sharpness.samples", "sharpness of samples", pages={"general": "", "comparison": "of samples"}),
)  # fmt: skip


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean squared error [B] of each image; pixels in [0, 1]."""
    return (x_hat - x).square().flatten(1).mean(1)


def peak_signal_to_noise(mse: Tensor) -> Tensor:
    """PSNR [B] in decibels for pixels in [0, 1]; identical images get 100."""
    return -10 * mse.clamp(min=LEAST_ERROR).log10()


def structural_similarity(x_hat: Tensor, x: Tensor) -> Tensor:
    """SSIM [B] of images [B, C, S, S] in [0, 1], mean over channels; S is at least 11.

    A Gaussian window of 11 pixels, sigma 1.5, only where it fits (Wang, Bovik, Sheikh and Simoncelli, 2004, eq. 13).
    """
    at = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    bell = torch.exp(-at.square() / (2 * SIGMA**2))
    bell = bell / bell.sum()
    channels = x.shape[1]

    def smooth(image: Tensor) -> Tensor:
        across = torch.nn.functional.conv2d(image, bell.expand(channels, 1, 1, WINDOW), groups=channels)
        return torch.nn.functional.conv2d(across, bell[:, None].expand(channels, 1, WINDOW, 1), groups=channels)

    c1, c2 = K1**2, K2**2
    mu_x, mu_y = smooth(x), smooth(x_hat)
    var_x, var_y = smooth(x * x) - mu_x**2, smooth(x_hat * x_hat) - mu_y**2
    covariance = smooth(x * x_hat) - mu_x * mu_y
    likeness = (2 * mu_x * mu_y + c1) * (2 * covariance + c2) / ((mu_x**2 + mu_y**2 + c1) * (var_x + var_y + c2))
    return likeness.flatten(1).mean(1)


def measure_reconstruction(context: EvaluationContext) -> None:
    """`reconstruction.*` from float decodes, and what later families start from: codes, uint8 reconstructions."""
    images, results = context.faces.images, context.results
    context.track.stage("reconstructing")
    if not context.can("autoencode"):
        results.not_computed["reconstruction.*"] = f"{context.editor.backend.name} has no autoencoder"
        context.unedited = images
        return
    context.unedited = np.empty_like(images)
    codes: list[NDArray[np.float32]] = []
    errors: list[Tensor] = []
    likenesses: list[Tensor] = []
    for rows in context.chunks(BATCH):
        z, mse, ssim, context.unedited[rows] = _encoded(context, np.ascontiguousarray(images[rows]))
        codes.append(z)
        errors.append(mse)
        likenesses.append(ssim)
        context.track.advance(2.5 * len(z))
    context.codes = np.concatenate(codes)
    mse = torch.cat(errors)
    results.values["reconstruction.mse"] = mean_ci(mse.numpy(), context.seed)
    results.values["reconstruction.psnr"] = mean_ci(peak_signal_to_noise(mse).numpy(), context.seed)
    if context.faces.image_size < WINDOW:
        results.not_computed["reconstruction.ssim"] = f"its window needs images of {WINDOW} pixels"
    else:
        results.values["reconstruction.ssim"] = mean_ci(torch.cat(likenesses).numpy(), context.seed)


def measure_perceptual(context: EvaluationContext, network: object | None) -> None:
    """`reconstruction.perceptual.NETWORK`: reconstruction and photograph in a network that knows distances, on a subset."""
    distance, missing = getattr(network, "distance", None), context.results.not_computed
    if not context.can("autoencode"):
        return
    if distance is None:
        missing["reconstruction.perceptual"] = "no feature network with layers: give --features squeezenet11:FILE.h5"
        return
    context.track.stage("perceptual distance")
    rows = context.subset()
    key = f"reconstruction.perceptual.{getattr(network, 'name', 'network')}"
    context.results.values[key] = mean_ci(distance(context.faces.images[rows], context.unedited[rows]), context.seed)


@torch.inference_mode()
def _encoded(
    context: EvaluationContext, images: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], Tensor, Tensor, NDArray[np.uint8]]:
    """Codes, squared errors, similarities and the decoded pixels, of one pass through the model."""
    model = context.editor.backend
    x = to_float(torch.from_numpy(images), context.device)
    code = model.encode(x)
    x_hat = model.decode(code)
    mse = squared_error(x_hat, x).double().cpu()
    ssim = structural_similarity(x_hat, x).cpu() if x.shape[-1] >= WINDOW else mse
    return code.z.flatten(1).float().cpu().numpy(), mse, ssim, to_pixels(x_hat)


LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue


def laplacian_variance(images: Images) -> NDArray[np.float64]:
    """The variance [N] of the 4-neighbour Laplacian of the luma of uint8 images [N, S, S, 3]; borders are reflected."""
    found = []
    for start in range(0, len(images), CHUNK):
        luma = images[start : start + CHUNK] @ LUMA
        edges = np.stack([laplace(picture, mode="reflect") for picture in luma])
        found.append(edges.var((1, 2)))
    return np.concatenate(found)


def measure_sharpness(context: EvaluationContext) -> None:
    """`sharpness.*`: the mean variance of reconstructions and of samples over that of the photographs; 1 is as sharp."""
    results, name = context.results, method_name(context.editor)
    context.track.stage("sharpness")
    real = float(laplacian_variance(context.faces.images).mean())
    if not real > 0:
        results.not_computed["sharpness.*"] = "these photographs have no edges at all"
        return
    made = {"reconstruction": ("autoencode", lambda: context.unedited), "samples": ("generate", lambda: context.samples)}
    for key, (capability, images) in made.items():
        if context.can(capability):
            results.values[f"sharpness.{key}"] = mean_ci(laplacian_variance(images()) / real, context.seed)
        else:
            results.not_computed[f"sharpness.{key}"] = f"{name} does not {capability}"
