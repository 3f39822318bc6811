"""How sharp images are beside photographs: the variance of the Laplacian (Pech-Pacheco et al., 2000)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import laplace

from visagist.evaluation.context import CHUNK, Images, Study
from visagist.evaluation.statistics import mean_of

LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue


def laplacian_variance(images: Images) -> NDArray[np.float64]:
    """The variance [N] of the 4-neighbour Laplacian of the luma of uint8 images [N, S, S, 3]; borders are reflected."""
    found = []
    for start in range(0, len(images), CHUNK):
        luma = images[start : start + CHUNK] @ LUMA
        edges = np.stack([laplace(picture, mode="reflect") for picture in luma])
        found.append(edges.var((1, 2)))
    return np.concatenate(found)


def measure_sharpness(study: Study) -> None:
    """`sharpness.*`: the mean variance of reconstructions and of samples over that of the photographs; 1 is as sharp."""
    results, name = study.results, study.editor.trained.name
    study.track.stage("sharpness")
    real = float(laplacian_variance(study.faces.images).mean())
    if not real > 0:
        results.not_computed["sharpness.*"] = "these photographs have no edges at all"
        return
    made = {"reconstruction": ("autoencode", lambda: study.unedited), "samples": ("generate", lambda: study.samples)}
    for key, (capability, images) in made.items():
        if study.can(capability):
            results.values[f"sharpness.{key}"] = mean_of(laplacian_variance(images()) / real, study.seed)
        else:
            results.not_computed[f"sharpness.{key}"] = f"{name} does not {capability}"
