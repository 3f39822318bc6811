"""A model folder that was damaged, or made to do harm, is refused in one line before memory is taken for it."""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from tiny_models import tiny_model

from visagist.checkpoints.checkpoint import describe, load_model, save_model
from visagist.editing.editor import Editor
from visagist.editing.strength import StrengthMap
from visagist.errors import VisagistError
from visagist.files import sha256_of
from visagist.methods.dfc_vae import DFCVAE
from visagist.methods.ifcvae_gan import IFcVAEGAN

LEAST_MEMORY = """
import resource, sys
import visagist.editing.editor as editor
from visagist.errors import VisagistError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    editor.Editor.from_pretrained(sys.argv[1], "cpu")
except VisagistError as error:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model with strength."""
    model, folder = tiny_model(IFcVAEGAN), tmp_path_factory.mktemp("whole") / "model"
    strength = {"Smiling": {"+1": StrengthMap().to_json(), "-1": StrengthMap().to_json()}}
    save_model(folder, describe(model, crop="none", strength=strength), model.state_dict())
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def described(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return found


def write(folder: Path, description: Any) -> None:
    (folder / "config.json").write_text(json.dumps(description))


def refused(folder: Path) -> str:
    with pytest.raises(VisagistError) as error:
        Editor.from_pretrained(folder, "cpu")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
    return str(error.value)


def with_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Change the weights, and the hash of them."""
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors")
    change(weights)
    with_file(folder, save(weights))


def with_file(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    write(folder, {**described(folder), "weights_sha256": hashlib.sha256(content).hexdigest()})


def knots(*pairs: Any) -> dict[str, Any]:
    return {"strength": {"Smiling": {"+1": {"knots": list(pairs)}}}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"config": None}, "config: null is not an object"),
        ({"config": []}, "config: a list is not an object"),
        ({"config": {"width": "2"}}, "config.width: '2' is not a whole number"),
        ({"config": {"width": None}}, "config.width: null is not a whole number"),
        ({"config": {"width": [2]}}, "config.width: a list is not a whole number"),
        ({"config": {"width": 2.5}}, "config.width: 2.5 is not a whole number"),
        ({"config": {"width": True}}, "config.width: true is not a whole number"),
        ({"config": {"width": 0}}, "config.width: it is 0"),
        ({"config": {"width": -4}}, "config.width: it is -4"),
        ({"config": {"width": 2**60}}, "config.width: it is"),
        ({"config": {"width": 10**30}}, "is too large"),
        ({"config": {"form": "round"}}, "config.form: 'round' is not 'dcgan' or 'residual'"),
        ({"config": {"form": None}}, "config.form: null is not 'dcgan' or 'residual'"),
        ({"config": {"kl_weight": "0.1"}}, "config.kl_weight: '0.1' is not a number"),
        ({"config": {"kl_weight": float("nan")}}, "holds NaN"),
        ({"config": {"kl_weight": float("inf")}}, "holds Infinity"),
        ({"config": {"auxiliary_layers": 65_536}}, "too many parts"),
        ({"config": {"auxiliary_members": 10**9}}, "config.auxiliary_members: it is 1000000000"),
        ({"config": {"telepathy": 1}}, "has no setting telepathy: another version wrote it"),
        ({"attributes": None}, "attributes: null is not a list"),
        ({"attributes": "Smiling"}, "attributes: 'Smiling' is not a list"),
        ({"attributes": [1]}, "attributes[0]: 1 is not text"),
        ({"attributes": ["Smiling", "Smiling"]}, "attributes names Smiling twice"),
        ({"attributes": ["Smiling", "Young"]}, "weights do not fit"),
        ({"attributes": [""]}, "attributes[0]: it has length 0"),
        ({"image_size": "64"}, "image_size: '64' is not a whole number"),
        ({"image_size": 10**9}, "image_size: it is 1000000000"),
        ({"image_size": 0}, "image_size: it is 0"),
        ({"image_size": None}, "image_size: null is not a whole number"),
        ({"image_size": 13}, ""),
        ({"name": None}, "name: null is not text"),
        ({"name": ["ifcvae-gan"]}, "name: a list is not text"),
        ({"kind": 3}, "kind: 3 is not text"),
        ({"format_version": True}, "checkpoint format True"),
        ({"format_version": [1]}, "checkpoint format [1]"),
        ({"weights_sha256": None}, "weights_sha256: null is not text"),
        ({"crop": 5}, "crop: 5 is not text"),
        ({"training": []}, "training: a list is not an object"),
        ({"strength": []}, "strength: a list is not an object"),
        ({"strength": {"Smiling": {"+1": None}}}, "strength.Smiling.'+1': null is not an object"),
        (knots([0, 0], [0.5, 0.6], [0.4, 0.7], [1, 1]), "strength knots must rise"),
        (knots([0, 0], [1, "1"]), "knots[1][1]: '1' is not a number"),
        (knots([0, 0], [1]), "knots[1]: it has 1 values, not 2"),
        ({"vectors": 7}, "vectors: 7 is not a list"),
    ],
)
def test_a_description_with_a_wrong_field_is_refused_by_its_name(changes: dict[str, Any], says: str, folder: Path) -> None:
    before = described(folder)
    if isinstance(changes.get("config"), dict):
        changes = {"config": {**before["config"], **changes["config"]}}
    write(folder, {**before, **changes})
    assert says in refused(folder)


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda text: b"\xef\xbb\xbf" + text, "byte-order mark"),
        (lambda text: text.decode().encode("utf-16"), "not UTF-8"),
        (lambda text: text.replace(b"Smiling", b"Smil\xffng", 1), "not UTF-8"),
        (lambda text: text.replace(b'"kind"', b'"name": "x", "kind"'), "the key 'name' is there twice"),
        (lambda text: b"[" * 200_000, "nested deeper than 64"),
        (lambda text: text + b" " * (100 * 2**20), "larger than 16 MiB"),
        (lambda text: b"", "no JSON"),
        (lambda text: text[:-20], "no JSON"),
    ],
)
def test_a_description_that_is_no_strict_json_is_refused(harm: Callable[[bytes], bytes], says: str, folder: Path) -> None:
    path = folder / "config.json"
    path.write_bytes(harm(path.read_bytes()))
    assert says in refused(folder)


@pytest.mark.parametrize("field", ["width", "latent"])
def test_a_width_that_the_weights_do_not_have_takes_no_memory(field: str, folder: Path) -> None:
    before = described(folder)
    write(folder, {**before, "config": {**before["config"], field: 4096}})
    done = subprocess.run([sys.executable, "-c", LEAST_MEMORY, str(folder)], capture_output=True, text=True, check=True)
    megabytes, _, says = done.stdout.partition(" ")
    assert "weights do not fit ifcvae-gan" in says
    assert int(megabytes) < 100


def test_networks_that_the_weights_do_not_hold_are_not_made_absurdly_large(folder: Path) -> None:
    with_weights(folder, lambda weights: [weights.pop(name) for name in list(weights) if name.startswith("discriminator")])
    load_model(folder)
    before = described(folder)
    write(folder, {**before, "config": {**before["config"], "discriminator_width": 65_536}})
    assert "GiB that model.safetensors does not hold" in refused(folder)


def set_to(value: float, ending: str = "weight") -> Callable[[dict[str, torch.Tensor]], None]:
    def change(weights: dict[str, torch.Tensor]) -> None:
        name = next(name for name in weights if name.endswith(ending))
        weights[name].view(-1)[0] = value

    return change


def as_type(dtype: torch.dtype) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(weights: dict[str, torch.Tensor]) -> None:
        name = next(name for name in weights if name.endswith("weight"))
        weights[name] = weights[name].to(dtype)

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (set_to(float("nan")), "has values that are not finite"),
        (set_to(float("inf")), "has values that are not finite"),
        (set_to(-0.5, "running_var"), "is a variance and has -0.5, which is below 0"),
        (as_type(torch.int64), "weights do not fit"),
        (as_type(torch.complex64), "is of type C64, weights are of F16, BF16, F32, F64"),
        (as_type(torch.float8_e4m3fn), "is of type F8_E4M3, weights are of"),
    ],
)
def test_weights_that_no_network_computes_with_are_refused(
    change: Callable[[dict[str, torch.Tensor]], None], says: str, folder: Path
) -> None:
    with_weights(folder, change)
    assert says in refused(folder)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_other_precisions_are_read(dtype: torch.dtype, folder: Path) -> None:
    with_weights(folder, as_type(dtype))
    assert all(value.dtype != dtype for value in load_model(folder)[0].state_dict().values())


EIGHT = {"dtype": "F32", "shape": [8]}


def header(**tensors: Any) -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + bytes(64)


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 90 * 2**20) + bytes(90 * 2**20),
        header(a={**EIGHT, "data_offsets": [0, 32]}, b={**EIGHT, "data_offsets": [16, 48]}),
        header(a={"dtype": "F32", "shape": [2**32, 2**32, 2**32], "data_offsets": [0, 64]}),
        header(a={"dtype": "F32", "shape": [-1], "data_offsets": [0, 64]}),
        header(a={"dtype": "F32", "shape": [16], "data_offsets": [64, 0]}),
        header(a={"dtype": "F32", "shape": [10**6], "data_offsets": [0, 4 * 10**6]}),
        header(a={"dtype": "F99", "shape": [16], "data_offsets": [0, 64]}),
        header(a=None),
        header(),
    ],
    ids=["endless", "long", "overlapping", "overflow", "negative", "backwards", "outside", "type", "null", "none"],
)  # fmt: skip
def test_a_header_of_weights_that_lies_is_refused(content: bytes, folder: Path) -> None:
    with_file(folder, content)
    assert "cannot read" in (says := refused(folder)) or "weights do not fit" in says


def test_an_edit_with_values_that_are_not_finite_is_an_error_and_no_black_picture(folder: Path) -> None:
    with_weights(folder, lambda weights: [value.mul_(1e30) for value in weights.values() if value.is_floating_point()])
    editor = Editor.from_pretrained(folder, "cpu")
    faces = torch.rand(2, 3, 16, 16)
    pixels = (faces.permute(0, 2, 3, 1).numpy() * 255).astype("uint8")
    for edit in (
        lambda: editor.edit(faces, Smiling=1),
        lambda: editor.edit(pixels, mode="detail", Smiling=1),
        lambda: editor.edit_arrays(pixels, [1], [1]),
        lambda: editor.reconstruct(faces),
        lambda: editor.classify(faces),
    ):
        with pytest.raises(VisagistError, match="values that are not finite: its weights are damaged or too large"):
            edit()


def test_vectors_of_another_length_than_the_codes_are_refused(tmp_path: Path) -> None:
    from visagist.methods.vae_wgan import VAEWGAN

    model = tiny_model(VAEWGAN, image_size=64)
    vector = {"attribute": "Smiling", "unit": 1.0, "length": 1.0, "n_with": 3, "n_without": 3, "vector": [1.0, 0.0]}
    save_model(tmp_path / "model", describe(model, vectors=[vector]), model.state_dict())
    assert "have 2 numbers and its codes [4]: fit them again" in refused(tmp_path / "model")


leaves = st.sampled_from([None, True, -1, 0, 1, 3, 70_000, 10**25, 0.5, -1e300, float("nan"), "", "1", "Smiling", "\ud800"])
values = st.recursive(leaves, lambda part: st.lists(part, max_size=3) | st.dictionaries(leaves.map(str), part, max_size=2))


def paths_of(value: Any) -> list[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [()] + [(key, *rest) for key, part in parts for rest in paths_of(part)]


@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_changed_in_a_description_it_is_read_or_refused(data: st.DataObject, whole: Path) -> None:
    description = described(whole)
    path = data.draw(st.sampled_from(paths_of(description)[1:]))
    place = description
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = data.draw(values)
    folder = whole.parent / "changed"
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    write(folder, description)
    if isinstance(description["weights_sha256"], str) and path != ("weights_sha256",):
        assert description["weights_sha256"] == sha256_of(folder / "model.safetensors")
    assert "\n" not in error_of(folder)


def error_of(folder: Path) -> str:
    """What loading and editing says, if anything."""
    try:
        editor = Editor.from_pretrained(folder, "cpu")
        editor.edit(torch.zeros(1, 3, 16, 16), **{editor.attributes[0]: 0.5})
    except VisagistError as error:
        return str(error)
    return ""


def test_a_file_that_a_description_names_is_not_opened(tmp_path: Path) -> None:
    model = tiny_model(DFCVAE)
    described = describe(model, crop="none")
    described["config"]["feature_weights"] = str(tmp_path / "of-somebody.pth")
    save_model(tmp_path / "model", described, model.state_dict())
    loaded, _ = load_model(tmp_path / "model")
    assert loaded.config.feature_weights is None
    save_model(tmp_path / "model", describe(model, crop="none"), model.state_dict())
    assert load_model(tmp_path / "model")[0].config.feature_weights == "random"


def test_a_method_that_reads_values_as_it_is_made_is_told_how_to_be_loaded(folder: Path) -> None:
    class Reads(IFcVAEGAN):
        device: str | None = None

        def __init__(self, *settings: Any) -> None:
            super().__init__(*settings)
            self.most = torch.linspace(0, 1, 3, device=self.device).max().item()

    with pytest.raises(VisagistError, match=r"checked by shapes alone \(.*meta.*\): make these tensors with device='cpu'"):
        load_model(folder, lambda name: Reads)
    Reads.device = "cpu"
    loaded, _ = load_model(folder, lambda name: Reads)
    assert loaded.most == 1
