"""`visagist factor` and the setting `transport`: what is fitted, what stays as it was, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_runs import Command
from sklearn.metrics import balanced_accuracy_score
from tiny_faces import make_faces
from tiny_models import tiny_config, tiny_model

from visagist import Editor, VisagistError
from visagist.checkpoints import checkpoint
from visagist.data import load_data
from visagist.data.faces import Faces
from visagist.latent.codes import encode_images
from visagist.latent.optimal_transport import correlates, fit_transport
from visagist.latent.probes import linear_probe, out_of_fold
from visagist.methods.cvae_gan import CVAEGAN
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.methods.vae import VAE
from visagist.networks.transport import label_position
from visagist.pipelines import train
from visagist.pipelines.factor import factor

pytestmark = pytest.mark.usefixtures("own_cache")
PAIR = ("Smiling", "Young")


def planted(correlation: float, count: int = 6000) -> tuple[Faces, np.ndarray, np.ndarray]:
    """Faces whose codes hold a label twice, in a mean and in a spread, and another label that goes together with it."""
    draw = np.random.default_rng(0)
    faces = make_faces(count, attributes=PAIR, val=0, test=0)
    young = np.where(draw.random(count) < correlation, faces.labels[:, 0], draw.integers(0, 2, count))
    faces.labels[:, 1] = young
    smiling = faces.labels[:, 0]
    z = draw.normal(size=(count, 4))
    z[:, 0] += 3 * smiling
    z[:, 1] *= 1 + smiling
    z[:, 2] += 3 * young
    return faces, z, smiling.astype(float)[:, None]


def forgotten(faces: Faces, z: np.ndarray, y: np.ndarray, target: Any) -> np.ndarray:
    method = tiny_model(IFcVAEGAN, ("Smiling",), transport=target)
    fit_transport(method, z, y, faces, target)
    return np.asarray(method.transport.forget(torch.from_numpy(z).float(), label_position(torch.from_numpy(y)).float()))


def apart(u: np.ndarray, label: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
    """The difference of the classes' mean codes, in each dimension."""
    return np.abs(u[rows][label[rows] == 1].mean(0) - u[rows][label[rows] == 0].mean(0))


def saved(method: Any, folder: Path) -> Path:
    """A model whose reading of the labels is sure, so that codes of both classes are many."""
    with torch.no_grad():
        for name, value in method.named_parameters():
            if name.endswith(("heads.weight", "head.weight")):
                value.mul_(300)
    checkpoint.save_model(folder, checkpoint.describe(method, crop=None), method.state_dict())
    return folder


@pytest.mark.parametrize("target", ["marginal", "conditional"])
def test_what_a_code_says_of_an_attribute_is_gone_in_mean_and_spread(target: Any) -> None:
    faces, z, y = planted(correlation=0)
    u = forgotten(faces, z, y, target)
    smiling = faces.labels[:, 0]
    assert apart(z, smiling)[0] > 2.9
    assert z[smiling == 1, 1].std() > 1.9
    assert apart(u, smiling).max() < 0.06
    assert u[smiling == 1, 1].std() == pytest.approx(u[smiling == 0, 1].std(), rel=0.03)
    assert apart(u, faces.labels[:, 1])[2] > 2.8, "another label is still told"


def test_marginal_takes_a_label_that_goes_together_along_and_conditional_leaves_it() -> None:
    faces, z, y = planted(correlation=0.6)
    smiling, young = faces.labels.T
    marginal, conditional = (forgotten(faces, z, y, target) for target in ("marginal", "conditional"))
    assert apart(z, smiling)[2] > 1.5
    assert apart(marginal, smiling).max() < 0.06
    assert apart(marginal, young)[2] < 2.2
    assert apart(conditional, young)[2] > 2.7
    assert apart(conditional, smiling)[2] > 1.3, "as who is young smiles, and the code says who is young"
    for same in (young == 0, young == 1):
        assert apart(conditional, smiling, same).max() < 0.15, "beyond that it tells nothing"


def test_labels_that_say_the_same_are_not_what_a_code_may_go_on_telling() -> None:
    names = ("Smiling", "Young", "High_Cheekbones", "Male", "Mouth_Slightly_Open")
    assert correlates("Smiling", names) == ("Young", "Male")
    assert correlates("Smiling", names, ("High_Cheekbones",)) == ("High_Cheekbones",)
    with pytest.raises(VisagistError, match=r"no attribute 'Mail'.*Male"):
        correlates("Smiling", names, ("Mail",))


@pytest.mark.parametrize("cls", [IFcVAEGAN, CVAEGAN])
def test_a_factored_model_rebuilds_as_before_and_edits_otherwise(cls: Any, tmp_path: Path) -> None:
    faces = make_faces(300)
    model = saved(tiny_model(cls), tmp_path / "model")
    facts = factor(model, faces, out=tmp_path / "factored", calibrated=False)
    before, after = Editor.from_pretrained(model), Editor.from_pretrained(tmp_path / "factored")
    some = faces.images[:32]
    np.testing.assert_allclose(after.reconstruct(some).astype(int), before.reconstruct(some), atol=1)
    codes = [editor.backend.encode(torch.from_numpy(some).permute(0, 3, 1, 2) / 255) for editor in (before, after)]
    torch.testing.assert_close(codes[0].y, codes[1].y)
    assert not torch.allclose(codes[0].z, codes[1].z, atol=1e-3)
    assert (before.edit(some, Smiling=1) != after.edit(some, Smiling=1)).any()
    assert [fact.attribute for fact in facts] == ["Smiling"]
    assert after.description["transport"][0]["target"] == "marginal"
    assert after.description["config"]["transport"] == "marginal"


def test_a_factored_model_saved_in_half_precision_keeps_its_transport_whole(tmp_path: Path) -> None:
    factor(saved(tiny_model(IFcVAEGAN), tmp_path / "model"), make_faces(300), out=tmp_path / "factored", calibrated=False)
    before: Any = Editor.from_pretrained(tmp_path / "factored")
    after: Any = Editor.from_pretrained(before.save(tmp_path / "half", half=True))
    z, t = torch.randn(16, 4), torch.rand(16, 1)
    forgotten = [editor.backend.trained_method.transport.forget(z, t) for editor in (after, before)]
    torch.testing.assert_close(*forgotten, rtol=0, atol=0)
    kept = checkpoint.read_weights(tmp_path / "half", checkpoint.read_description(tmp_path / "half"))
    assert {v.dtype for k, v in kept.items() if k.startswith("encoder.") and v.is_floating_point()} == {torch.float16}


def test_a_face_that_is_asked_for_what_it_has_keeps_its_code(tmp_path: Path) -> None:
    faces = make_faces(300)
    folder = saved(tiny_model(IFcVAEGAN), tmp_path / "model")
    factor(folder, faces, out=tmp_path / "factored", calibrated=False)
    method: Any = Editor.from_pretrained(tmp_path / "factored").backend.method
    x = torch.from_numpy(faces.images[:64]).permute(0, 3, 1, 2) / 255
    mu, logits = method.posterior_mean(x)
    sure = torch.sigmoid(logits[:, 0]) > 0.75
    assert sure.any()
    code = method.encode(x[sure])
    torch.testing.assert_close(method.transport.remember(code.z, torch.ones_like(code.y)), mu[sure], rtol=1e-3, atol=1e-3)


def test_training_with_the_setting_fits_it_at_the_end_and_again_after_going_on(tmp_path: Path) -> None:
    faces = make_faces(400)
    config = tiny_config(IFcVAEGAN, transport="marginal", class_weight=3.0)
    settings = {f"method.{key}": value for key, value in dataclasses.asdict(config).items()}
    settings |= {"training.batch_size": 16, "training.precision": "fp32", "data.image_size": 16}

    def trained(images: int) -> dict[str, Any]:
        train.train(
            "ifcvae-gan", faces, attributes=["Smiling"], out=tmp_path / "run", images=images, settings=settings,
            calibrate=False, resume=True,
        )  # fmt: skip
        return checkpoint.read_weights(tmp_path / "run/last", checkpoint.read_description(tmp_path / "run/last"))

    first = trained(2_400)
    described = checkpoint.read_description(tmp_path / "run/best")
    assert described["transport"][0]["attribute"] == "Smiling"
    assert not torch.equal(first["transport.scale"], torch.ones(1, 4))
    second = trained(3_200)
    assert not torch.equal(first["transport.scale"], second["transport.scale"])
    assert Editor.from_pretrained(tmp_path / "run").edit(faces.images[:2], Smiling=1).shape == (2, 16, 16, 3)


def test_what_cannot_be_factored_is_refused(tmp_path: Path) -> None:
    faces = make_faces(300)
    without = saved(tiny_model(VAE), tmp_path / "vae")
    with pytest.raises(VisagistError, match="so none is taken out: cvae-gan, ifcvae-gan do"):
        factor(without, faces, out=tmp_path / "out")
    model = saved(tiny_model(IFcVAEGAN), tmp_path / "model")
    with pytest.raises(VisagistError, match="too few for the covariance of 4 latent dimensions, which needs 8"):
        factor(model, make_faces(26), out=tmp_path / "out")
    with pytest.raises(VisagistError, match="no label besides Smiling: factor it with the target marginal"):
        factor(model, faces, out=tmp_path / "out", target="conditional")
    assert not (tmp_path / "out").exists()


def test_the_command_writes_a_model_and_prints_what_was_fitted(command: Command, tmp_path: Path) -> None:
    model = saved(tiny_model(IFcVAEGAN, image_size=32), tmp_path / "model")
    arguments = ("factor", model, "--data", "synthetic:400", "--out", tmp_path / "out", "--no-calibrate")
    result = command(*arguments, "--target", "conditional", "--given", "Young", "--json")
    assert result.status == 0, result.err
    (fact,) = json.loads(result.out)
    assert (fact["attribute"], fact["target"], fact["given"]) == ("Smiling", "conditional", ["Young"])
    assert checkpoint.read_description(tmp_path / "out")["transport"] == [fact]
    assert "add --target conditional" in command(*arguments, "--given", "Young").err
    assert "did you mean marginal" in command(*arguments, "--target", "margin").err


@pytest.mark.data
def test_the_smile_is_gone_from_codes_of_real_faces(real_data: Path, tmp_path: Path) -> None:
    faces = load_data(f"celeba:{real_data / 'celeba'}", image_size=64)
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.permutation(faces.indices(split))[:n] for split, n in (("train", 4000), ("test", 1200))])
    some = faces.take(np.sort(rows))
    factor("ifcvae-gan-smiling-64", some, out=tmp_path / "factored", calibrated=False)
    tested = some.take(some.indices("test"))
    smiling = tested.column("Smiling").astype(bool)
    read = {}
    for name in ("ifcvae-gan-smiling-64", tmp_path / "factored"):
        z = encode_images(Editor.from_pretrained(name), tested.images).z.numpy()
        read[str(name)] = balanced_accuracy_score(smiling, out_of_fold(linear_probe, z, smiling) >= 0.5)
    before, after = read.values()
    assert before > 0.75
    assert after < 0.64
