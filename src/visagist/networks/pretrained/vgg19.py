"""VGG-19 up to relu5_1 (Simonyan and Zisserman, 2015, arXiv:1409.1556), whose layers perceptual losses compare.

The weights are read from a file and frozen; gradients flow to the images.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from visagist.errors import VisagistError
from visagist.files import sha256_of
from visagist.networks.pretrained.weight_files import read_weights

CONVOLUTIONS = (2, 2, 4, 4, 1)  # of each block, up to relu5_1; blocks are separated by pooling
LAYERS = tuple(f"relu{block}_1" for block in range(1, 6))
WIDTHS = (64, 128, 256, 512, 512)
NAMES = tuple(f"conv{block}_{number}" for block, count in enumerate(CONVOLUTIONS, 1) for number in range(1, count + 1))


def block_of(layer: str) -> int:
    """The block, 1 to 5, that a layer begins; VisagistError for an unknown name."""
    if layer not in LAYERS:
        raise VisagistError(f"no feature layer {layer!r}: it is one of {', '.join(LAYERS)}")
    return LAYERS.index(layer) + 1


class VGG19(nn.Module):
    """Images [B, 3, S, S] in [0, 1], RGB, to features [B, C, S', S'] by the name of their layer.

    `entry`, a 1×1 convolution, normalises pixels as the weights expect. `scales` [5] multiply the outputs of the layers. A
    thin network has fewer channels (`widths`), which `heads`, 1×1 convolutions with ReLU, expand to the full number where a
    layer is read. `padding` is zeros, or reflect for the published normalised weights.
    """

    scales: Tensor

    def __init__(
        self, widths: Sequence[int] = WIDTHS, *, depth: int = 5, heads: bool = False, padding: str = "zeros"
    ) -> None:
        super().__init__()
        self.depth, self.padding = depth, padding
        self.entry = nn.Conv2d(3, 3, 1)
        self.convolutions = nn.ModuleDict()
        channels = 3
        for block, (count, width) in enumerate(zip(CONVOLUTIONS[:depth], widths), 1):
            for number in range(1, 2 if block == depth else count + 1):
                self.convolutions[f"conv{block}_{number}"] = nn.Conv2d(
                    channels, width, 3, padding=0 if self._reflects else 1
                )
                channels = width
        self.heads = nn.ModuleDict()
        if heads:
            self.heads.update({layer: nn.Conv2d(a, b, 1) for layer, a, b in zip(LAYERS[:depth], widths, WIDTHS)})
        self.register_buffer("scales", torch.ones(len(LAYERS)))

    @property
    def _reflects(self) -> bool:
        return self.padding == "reflect"

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of its layers."""
        return LAYERS[: self.depth]

    def forward(self, x: Tensor, layers: Sequence[str] = LAYERS) -> dict[str, Tensor]:
        """Compute the features of `layers`, and nothing beyond the deepest of them."""
        deepest = max(block_of(layer) for layer in layers)
        if deepest > self.depth:
            raise VisagistError(f"these weights end at {self.layers[-1]}, {LAYERS[deepest - 1]} was asked for: take others")
        features: dict[str, Tensor] = {}
        h = self.entry(x)
        for name, convolution in self.convolutions.items():
            block, number = int(name[4]), int(name[6])
            if number == 1 and block > 1:
                h = F.max_pool2d(h, 2)
            h = F.relu(convolution(F.pad(h, (1, 1, 1, 1), mode="reflect") if self._reflects else h))
            layer = LAYERS[block - 1]
            if number == 1 and layer in layers:
                scale = self.scales[block - 1]
                if layer in self.heads:  # ReLU is homogeneous: scaling few weights replaces scaling many pixels
                    head = cast(nn.Conv2d, self.heads[layer])
                    bias = None if head.bias is None else head.bias * scale
                    features[layer] = F.relu(F.conv2d(h, head.weight * scale, bias))
                else:
                    features[layer] = h * scale
            if number == 1 and block == deepest:
                break
        return features


VARIABLE = "VISAGIST_VGG19"
TORCHVISION = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"  # its name holds the first digits of its SHA-256
TORCHVISION_INDEX = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)
MEANS, DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of torchvision's input
RANDOM = "random"  # fixed random weights for tests, used on request only
RANDOM_WIDTHS = (8, 16, 32, 64, 64)
ACTIVATION_A_CHANNEL, PORTRAIT_SIDE = 3.0, 128
HOW = (
    f"give a file by --set feature_weights=FILE or ${VARIABLE}: torchvision's vgg19-dcbb9e9d.pth ({TORCHVISION}), "
    "VGG-19's normalised weights, or a network distilled from them"
)


@lru_cache(maxsize=2)
def load_vgg19(which: str | None = None) -> tuple[VGG19, str]:
    """Load the frozen network and the SHA-256 of its file; `which` is a path, `random`, or None for the default file.

    Raises VisagistError where the file is missing, cannot be fetched, or does not fit.
    """
    if which == RANDOM:
        network, digest = _random_network(), RANDOM
    else:
        path = _find_file(which)
        network, digest = build_vgg19(read_weights(path, HOW), str(path)), sha256_of(path)
    network.eval().requires_grad_(False)
    _set_scales(network)
    return network, digest


def _find_file(which: str | None) -> Path:
    given = which or os.environ.get(VARIABLE)
    if given:
        path = Path(given).expanduser()
        if not path.is_file():
            raise VisagistError(f"no file {given!r} with weights of VGG-19; {HOW}")
        return path
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / TORCHVISION.rpartition("/")[2]
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(TORCHVISION, str(path), hash_prefix=path.stem.rpartition("-")[2])
        except (OSError, RuntimeError) as error:
            raise VisagistError(f"cannot fetch {TORCHVISION}: {error}; {HOW}") from error
    return path


def build_vgg19(tensors: Mapping[str, Tensor], named: str) -> VGG19:
    """Build the network from tensors in one of the three layouts; `named` stands for them in errors."""
    if "features.0.weight" in tensors:
        prefixes = {name: f"features.{index}" for name, index in zip(NAMES, TORCHVISION_INDEX)}
        heads, padding = {}, "zeros"
    elif "conv11.weight" in tensors:
        prefixes = {name: name.replace("_", "") for name in NAMES if f"{name.replace('_', '')}.weight" in tensors}
        heads = {
            layer: f"conv{block}1_aux" for block, layer in enumerate(LAYERS, 1) if f"conv{block}1_aux.weight" in tensors
        }
        padding = "reflect"
    elif "0.weight" in tensors and tuple(tensors["0.weight"].shape) == (3, 3, 1, 1):
        order = sorted({int(key.partition(".")[0]) for key in tensors if key.partition(".")[0].isdigit()})
        prefixes = {name: str(index) for name, index in zip(NAMES, order[1:])}
        heads, padding = {}, "reflect"
    else:
        raise VisagistError(f"{named} is in none of the known layouts of VGG-19: {', '.join(list(tensors)[:4])} …; {HOW}")
    blocks = [block for block in range(1, len(CONVOLUTIONS) + 1) if f"conv{block}_1" in prefixes]
    try:
        widths = [len(tensors[f"{prefixes[f'conv{block}_1']}.weight"]) for block in blocks]
        network = VGG19(widths, depth=len(blocks), heads=bool(heads), padding=padding)
        state = {"scales": network.scales, **_entry_weights(tensors, "conv0" if heads else "0", padding)}
        for name in network.convolutions:
            state |= {f"convolutions.{name}.{part}": tensors[f"{prefixes[name]}.{part}"] for part in ("weight", "bias")}
        for layer, name in heads.items():
            state |= {f"heads.{layer}.{part}": tensors[f"{name}.{part}"] for part in ("weight", "bias")}
        network.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise VisagistError(f"{named} does not hold VGG-19: {error}; {HOW}") from error
    return network


def _entry_weights(tensors: Mapping[str, Tensor], name: str, padding: str) -> dict[str, Tensor]:
    if padding == "reflect":  # the file has its own convolution to BGR, 0 to 255, less the means
        return {"entry.weight": tensors[f"{name}.weight"], "entry.bias": tensors[f"{name}.bias"]}
    deviations = torch.tensor(DEVIATIONS)
    return {"entry.weight": torch.diag(1 / deviations)[:, :, None, None], "entry.bias": -torch.tensor(MEANS) / deviations}


def _random_network() -> VGG19:
    network = VGG19(RANDOM_WIDTHS, heads=True)
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            torch.nn.init.kaiming_normal_(parameter, generator=generator)
        else:
            torch.nn.init.zeros_(parameter)
    return network


@torch.no_grad()
def _set_scales(network: VGG19) -> None:
    with resources.files("visagist").joinpath("demo_face.png").open("rb") as file:
        portrait = Image.open(file).convert("RGB").resize((PORTRAIT_SIDE, PORTRAIT_SIDE), Image.Resampling.BICUBIC)
    x = torch.from_numpy(np.asarray(portrait).copy()).permute(2, 0, 1)[None].float() / 255
    for block, features in enumerate(network(x, network.layers).values()):
        mean = float(features.mean())
        if not mean > 0:
            raise VisagistError(f"{network.layers[block]} of these weights is dead: its mean activation is {mean:g}")
        network.scales[block] = ACTIVATION_A_CHANNEL * features.shape[1] / mean


class BorrowedVGG19:
    """A feature network that a method uses and does not own: neither trained nor saved, loaded when needed."""

    def __init__(self, which: str | None) -> None:
        self.which = which

    def load(self) -> VGG19:
        """Load the network, shared by all methods that use it; VisagistError where it cannot be loaded."""
        return load_vgg19(self.which)[0]

    @property
    def sha256(self) -> str:
        return load_vgg19(self.which)[1]

    def __call__(self, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Compute features [B, C, S', S'] of images [B, 3, S, S] in [0, 1], by layer, on the device of the images."""
        return self.load().to(x.device)(x, layers)
