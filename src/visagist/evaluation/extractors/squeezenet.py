"""Feature networks for distances between sets of faces, from files that a person has; none is shipped or fetched."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.boundary.untrusted import WEIGHT_BYTES, open_regular
from visagist.errors import VisagistError
from visagist.evaluation.context import Images
from visagist.evaluation.extractors.onnx import OnnxEmbedder
from visagist.evaluation.extractors.standard_networks import INCEPTION, InceptionFeatures
from visagist.evaluation.reading_cache import fingerprint_of
from visagist.files import sha256_of
from visagist.networks.pretrained.squeezenet import FIRES, SqueezeNet

SQUEEZENET = "squeezenet11"
SIDE = 128  # faces are enlarged or reduced to this, so that models of different sizes can be compared
MEANS = (103.939, 116.779, 123.68)  # of ImageNet's blue, green and red, 0 to 255
LEAST = 1e-10  # length of what has none
BATCH = 16  # of 128 pixels: what larger ones make leaves the processor's cache


class FeatureNetwork(Protocol):
    """Uint8 faces [N, S, S, 3] to features [N, D]; the name is part of the keys of what is measured with it."""

    name: str

    def __call__(self, images: Images) -> NDArray[np.float32]: ...


def load_features(which: str) -> FeatureNetwork:
    """`inception:FILE` (FID's own), `squeezenet11:FILE.h5` (ImageNet weights without head, as of Keras), or `FILE.onnx`.

    Raises VisagistError where the file is missing or holds something else.
    """
    kind, _, path = which.partition(":")
    if kind == SQUEEZENET and path:
        return SqueezeNetFeatures(path)
    if kind == INCEPTION and path:
        return InceptionFeatures(path)
    if which.endswith(".onnx"):
        network = OnnxEmbedder(which)
        network.name = Path(which).stem
        return network
    raise VisagistError(f"no feature network {which!r}: give {INCEPTION}:FILE.pth, {SQUEEZENET}:FILE.h5 or FILE.onnx")


class SqueezeNetFeatures:
    """The 512 spatial means of SqueezeNet 1.1's last block; faces are resized to 128 pixels, bilinear, antialiased."""

    def __init__(self, path: str | Path) -> None:
        self.name = SQUEEZENET
        self.sha256, weights = read_keras_squeezenet(Path(path).expanduser())
        self.fingerprint = fingerprint_of(SQUEEZENET, self.sha256, SIDE)
        self.network = SqueezeNet()
        self.network.load_state_dict(weights)
        self.network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, images: Images) -> NDArray[np.float32]:
        starts = range(0, len(images), BATCH)
        return np.concatenate([self.network(_shown(images[start : start + BATCH])).numpy() for start in starts])

    @torch.inference_mode()
    def distance(self, a: Images, b: Images) -> NDArray[np.float64]:
        """The perceptual distance [N] of pairs of uint8 images, from 0 to 2; see `unit_distance`."""
        parts = []
        for start in range(0, len(a), BATCH):
            both = (self.network.maps(_shown(images[start : start + BATCH])) for images in (a, b))
            parts.append(unit_distance(zip(*both)).double().numpy())
        return np.concatenate(parts)


def unit_distance(layers: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
    """The mean over layers and places of |u(a) − u(b)|² [B], u of length 1 over channels, of pairs of maps [B, C, S, S].

    Zhang et al. (2018, eq. 1) with all weights alike, and the mean over layers in place of the sum. Their LPIPS has learned
    weights for networks of its own.
    """
    distances = []
    for a, b in layers:
        difference = torch.nn.functional.normalize(a, eps=LEAST) - torch.nn.functional.normalize(b, eps=LEAST)
        distances.append(difference.square().sum(1).mean((1, 2)))
    return torch.stack(distances).mean(0)


def _shown(images: Images) -> Tensor:
    """Uint8 faces [B, S, S, 3] as the network wants them, [B, 3, 128, 128]."""
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    if x.shape[-1] != SIDE:
        x = torch.nn.functional.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True)
    x = x.flip(1) - torch.tensor(MEANS).view(1, 3, 1, 1)
    return x.contiguous(memory_format=torch.channels_last)


def _arrays(group: Any) -> list[NDArray[np.float32]]:
    """All arrays in a group of an HDF5 file, however deep."""
    arrays: list[NDArray[np.float32]] = []

    def keep(name: str, item: Any) -> None:
        if hasattr(item, "shape"):
            arrays.append(item[()])

    group.visititems(keep)
    return arrays


def read_keras_squeezenet(path: Path) -> tuple[str, dict[str, Tensor]]:
    """The SHA-256 of an HDF5 file of Keras and its weights by the names of `SqueezeNet`; kernels become [out, in, h, w]."""
    try:
        h5py: Any = importlib.import_module("h5py")
    except ImportError as error:
        raise VisagistError("h5py is not installed: pip install visagist[features]") from error
    if not path.is_file():
        raise VisagistError(f"no file {str(path)!r}: name the HDF5 file of SqueezeNet 1.1's ImageNet weights")
    layers = ["conv1"] + [f"{fire}/{part}" for fire, _, _ in FIRES for part in ("squeeze1x1", "expand1x1", "expand3x3")]
    weights: dict[str, Tensor] = {}
    try:
        with open_regular(path, WEIGHT_BYTES) as source, h5py.File(source, "r") as file:
            for layer in layers:
                kernel, bias = sorted(_arrays(file[layer]), key=lambda array: -array.ndim)
                name = layer.replace("/", ".")
                weights[f"{name}.weight"] = torch.from_numpy(kernel).permute(3, 2, 0, 1).contiguous()
                weights[f"{name}.bias"] = torch.from_numpy(bias)
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise VisagistError(f"{path} does not hold SqueezeNet 1.1 as Keras writes it: {error}") from error
    state = SqueezeNet().state_dict()
    wrong = [name for name, tensor in weights.items() if tensor.shape != state[name].shape]
    if wrong:
        raise VisagistError(f"{path} does not hold SqueezeNet 1.1: {wrong[0]} has the shape {list(weights[wrong[0]].shape)}")
    return sha256_of(path), weights
