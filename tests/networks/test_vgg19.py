"""The feature network and the three layouts in which its weights come, against the plain sequence of operations."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from visagist.errors import VisagistError
from visagist.networks.pretrained.vgg19 import (
    ACTIVATION_A_CHANNEL,
    CONVOLUTIONS,
    DEVIATIONS,
    LAYERS,
    MEANS,
    PORTRAIT_SIDE,
    TORCHVISION_INDEX,
    VARIABLE,
    WIDTHS,
    BorrowedVGG19,
    build_vgg19,
    load_vgg19,
)

THIN = (2, 3, 4, 5, 6)
Convolutions = list[tuple[str, int, int]]


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    load_vgg19.cache_clear()
    yield
    load_vgg19.cache_clear()


def convolutions(widths: tuple[int, ...] = THIN) -> Convolutions:
    """Block and number of each convolution with its channels."""
    found, channels = [], 3
    for block, (count, width) in enumerate(zip(CONVOLUTIONS, widths), 1):
        for number in range(1, count + 1):
            found.append((f"{block}{number}", channels, width))
            channels = width
    return found


def tensors_of(named: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {key: torch.rand(shape, generator=generator) - 0.3 for key, shape in named.items()}


def weights(names: list[str], shapes: Convolutions) -> dict[str, Tensor]:
    found: dict[str, tuple[int, ...]] = {}
    for name, (_, a, b) in zip(names, shapes):
        found |= {f"{name}.weight": (b, a, 3, 3), f"{name}.bias": (b,)}
    return tensors_of(found)


def torchvision() -> dict[str, Tensor]:
    rest = {"features.30.weight": torch.zeros(1), "classifier.0.weight": torch.zeros(1)}
    return weights([f"features.{index}" for index in TORCHVISION_INDEX], convolutions()) | rest


def normalised() -> dict[str, Tensor]:
    entry = tensors_of({"0.weight": (3, 3, 1, 1), "0.bias": (3,)})
    return entry | weights([str(index) for index in (2, 5, 9, 12, 16)], convolutions()[:5])


def distilled() -> dict[str, Tensor]:
    entry = tensors_of({"conv0.weight": (3, 3, 1, 1), "conv0.bias": (3,)})
    heads: dict[str, tuple[int, ...]] = {}
    for block, (a, b) in enumerate(zip(THIN, WIDTHS), 1):
        heads |= {f"conv{block}1_aux.weight": (b, a, 1, 1), f"conv{block}1_aux.bias": (b,)}
    return entry | weights([f"conv{name}" for name, _, _ in convolutions()], convolutions()) | tensors_of(heads)


def by_hand(x: Tensor, parts: Iterator[tuple[Tensor, Tensor]], blocks: int, reflect: bool) -> list[Tensor]:
    """What leaves the first convolution of each block."""
    found = []
    for block, count in enumerate(CONVOLUTIONS[:blocks]):
        x = F.max_pool2d(x, 2) if block else x
        for number in range(1 if block == blocks - 1 else count):
            weight, bias = next(parts)
            x = F.pad(x, (1, 1, 1, 1), mode="reflect") if reflect else F.pad(x, (1, 1, 1, 1))
            x = F.relu(F.conv2d(x, weight, bias))
            if number == 0:
                found.append(x)
    return found


def pairs(tensors: dict[str, Tensor], names: list[str]) -> Iterator[tuple[Tensor, Tensor]]:
    return ((tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in names)


def assert_same(found: dict[str, Tensor], expected: list[Tensor]) -> None:
    assert list(found) == list(LAYERS[: len(expected)])
    for got, wanted in zip(found.values(), expected):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_torchvisions_file_wants_pixels_standardised_and_borders_of_zeros() -> None:
    tensors, x = torchvision(), torch.rand(2, 3, 32, 32)
    entered = (x - torch.tensor(MEANS).view(3, 1, 1)) / torch.tensor(DEVIATIONS).view(3, 1, 1)
    expected = by_hand(entered, pairs(tensors, [f"features.{i}" for i in TORCHVISION_INDEX]), 5, reflect=False)
    assert_same(build_vgg19(tensors, "file")(x), expected)


def test_normalised_weights_have_a_convolution_of_their_own_for_pixels_and_reflected_borders() -> None:
    tensors, x = normalised(), torch.rand(2, 3, 32, 32)
    entered = F.conv2d(x, tensors["0.weight"], tensors["0.bias"])
    expected = by_hand(entered, pairs(tensors, ["2", "5", "9", "12", "16"]), 3, reflect=True)
    network = build_vgg19(tensors, "file")
    assert_same(network(x, network.layers), expected)


def test_a_distilled_network_is_read_through_its_heads() -> None:
    tensors, x = distilled(), torch.rand(2, 3, 32, 32)
    entered = F.conv2d(x, tensors["conv0.weight"], tensors["conv0.bias"])
    thin = by_hand(entered, pairs(tensors, [f"conv{name}" for name, _, _ in convolutions()]), 5, reflect=True)
    heads = pairs(tensors, [f"conv{block}1_aux" for block in range(1, 6)])
    assert_same(build_vgg19(tensors, "file")(x), [F.relu(F.conv2d(h, *head)) for h, head in zip(thin, heads)])


def test_only_what_is_asked_for_is_read_and_never_beyond_the_weights() -> None:
    network = build_vgg19(normalised(), "file")
    assert list(network(torch.rand(1, 3, 16, 16), ("relu2_1",))) == ["relu2_1"]
    with pytest.raises(VisagistError, match="end at relu3_1, relu5_1 was asked for"):
        network(torch.rand(1, 3, 16, 16))
    with pytest.raises(VisagistError, match="no feature layer 'relu9_9': it is one of relu1_1"):
        network(torch.rand(1, 3, 16, 16), ("relu9_9",))


def test_a_layers_mean_activation_over_the_portrait_grows_with_its_channels(tmp_path: Path) -> None:
    tensors = distilled()
    save_file(tensors, tmp_path / "thin.safetensors")
    network, digest = load_vgg19(str(tmp_path / "thin.safetensors"))
    assert len(digest) == 64
    plain, x = build_vgg19(tensors, "file"), torch.rand(1, 3, 32, 32)
    for layer, scale in zip(LAYERS, network.scales):
        torch.testing.assert_close(network(x)[layer], plain(x)[layer] * scale, rtol=1e-5, atol=1e-3)
    louder = {key: value * (10 if key.startswith("conv51_aux") else 1) for key, value in tensors.items()}
    save_file(louder, tmp_path / "louder.safetensors")
    torch.testing.assert_close(load_vgg19(str(tmp_path / "louder.safetensors"))[0](x), network(x), rtol=1e-4, atol=3e-2)
    with resources.files("visagist").joinpath("demo_face.png").open("rb") as file:
        portrait = Image.open(file).convert("RGB").resize((PORTRAIT_SIDE, PORTRAIT_SIDE), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(portrait)).permute(2, 0, 1)[None].float() / 255
    for layer, features in network(pixels).items():
        assert float(features.mean()) == pytest.approx(ACTIVATION_A_CHANNEL * features.shape[1], rel=1e-4), layer


def test_weights_stand_still_and_gradients_reach_the_images() -> None:
    network, x = BorrowedVGG19("random"), torch.rand(1, 3, 16, 16, requires_grad=True)
    network(x, ("relu3_1",))["relu3_1"].sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().sum()) > 0
    assert not any(parameter.requires_grad for parameter in network.load().parameters())
    assert [maps.shape[1] for maps in network(x, LAYERS).values()] == list(WIDTHS)


def test_a_file_is_found_by_its_path_or_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"epoch": 20, "model": distilled()}, tmp_path / "thin.pth")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "thin.pth"))
    assert load_vgg19()[1] == load_vgg19(str(tmp_path / "thin.pth"))[1]
    assert load_vgg19("random")[1] == "random"


def test_without_a_file_the_error_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def unreachable(url: str, path: str, hash_prefix: str) -> None:
        assert hash_prefix == "dcbb9e9d"
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(VisagistError, match=rf"no route to host; give a file by --set feature_weights=FILE or \${VARIABLE}"):
        load_vgg19()
    with pytest.raises(VisagistError, match=r"no file 'nowhere\.pth' with weights of VGG-19; give"):
        load_vgg19("nowhere.pth")


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('this must not run')",))


@pytest.mark.parametrize("what", ["pickle", "text", "list", "others", "short"])
def test_a_file_that_holds_something_else_is_refused_and_runs_nothing(tmp_path: Path, what: str) -> None:
    path = tmp_path / "weights.pth"
    match what:
        case "pickle":
            path.write_bytes(pickle.dumps(Payload()))
        case "text":
            path.write_text("weights")
        case "list":
            torch.save([torch.zeros(1)], path)
        case "others":
            torch.save({"fc.weight": torch.zeros(2, 2)}, path)
        case "short":
            torch.save({key: value for key, value in distilled().items() if key != "conv32.weight"}, path)
    with pytest.raises(VisagistError, match=r"weights\.pth"):
        load_vgg19(str(path))
