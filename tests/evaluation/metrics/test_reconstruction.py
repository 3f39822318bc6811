from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from visagist.pixels import peak_signal_to_noise, squared_error, structural_similarity


def test_psnr_of_known_errors() -> None:
    assert peak_signal_to_noise(torch.tensor([0.01, 1.0, 1e-4])).tolist() == pytest.approx([20.0, 0.0, 40.0], abs=1e-4)


def test_psnr_of_identical_images_is_finite() -> None:
    assert peak_signal_to_noise(torch.zeros(1)).item() == pytest.approx(100)


def test_squared_error_is_taken_of_each_image_alone() -> None:
    x = torch.zeros(2, 3, 4, 4)
    x_hat = torch.stack([torch.full((3, 4, 4), 0.5), torch.zeros(3, 4, 4)])
    assert squared_error(x_hat, x).tolist() == [0.25, 0.0]


def test_ssim_of_an_image_with_itself_is_one() -> None:
    x = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    assert structural_similarity(x, x).tolist() == pytest.approx([1, 1], abs=1e-5)


def test_ssim_of_flat_images_is_the_formula_for_their_means() -> None:
    a, b = torch.full((1, 3, 16, 16), 0.2, dtype=torch.float64), torch.full((1, 3, 16, 16), 0.6, dtype=torch.float64)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert structural_similarity(a, b).item() == pytest.approx(expected, abs=1e-6)


def test_ssim_agrees_with_a_gaussian_filter_of_another_library() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((20, 20)), rng.random((20, 20))

    def smooth(image: np.ndarray) -> np.ndarray:
        return gaussian_filter(image, 1.5, radius=5)[5:-5, 5:-5]

    mx, my = smooth(x), smooth(y)
    vx, vy, cov = smooth(x * x) - mx**2, smooth(y * y) - my**2, smooth(x * y) - mx * my
    expected = ((2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))).mean()
    tensors = [torch.from_numpy(image)[None, None] for image in (x, y)]
    assert structural_similarity(*tensors).item() == pytest.approx(expected, abs=1e-9)
