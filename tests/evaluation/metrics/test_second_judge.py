"""The second judge: its weights, what it is shown, and what is measured with it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from doubles import BrightnessJudge, DoNothing, Perfect, editor_of, evaluate, plain_faces
from sklearn.metrics import roc_auc_score

from visagist.data import load_data
from visagist.errors import VisagistError
from visagist.evaluation import Metrics
from visagist.evaluation.extractors.face_api_judge import FaceApiJudge, box_in, load_second
from visagist.networks.pretrained import face_api
from visagist.networks.pretrained.face_api import FaceApiExpression, FaceApiGender, read_expression, read_gender

PARTS = {"weight": "filters", "bias": "bias"}


def manifest_name(key: str) -> tuple[str, bool]:
    """What the manifest calls a tensor of ours, and whether it is a depthwise one."""
    *path, part = key.split(".")
    steps = []
    for step in path:
        if step.isdigit():
            head = steps.pop()
            number = {"blocks": "dense", "entry": "reduction_block_", "middle": "main_block_"}[head] + step
            steps += [{"entry": "entry_flow", "middle": "middle_flow"}.get(head, ""), number]
        else:
            steps.append({"conv_in": "entry_flow/conv_in", "exit": "exit_flow/reduction_block"}.get(step, step))
    if steps[0] == "separable_conv":
        steps.insert(0, "exit_flow")
    if steps[0] in ("fc", "age", "gender"):
        fc = ["fc"] if steps[0] == "fc" else ["fc", steps[0]]
        return "/".join([*fc, "weights" if part == "weight" else "bias"]), False
    kind = PARTS[part]
    if steps[-1] in ("depthwise", "pointwise"):
        last = steps.pop()
        kind = f"{last}_filter" if part == "weight" else "bias"
        return "/".join([*filter(None, steps), kind]), last == "depthwise"
    return "/".join([*filter(None, steps), kind]), False


def write(folder: Path, name: str, network: torch.nn.Module) -> None:
    """The network's weights as face-api.js lays them out, filters in one byte a value."""
    entries, data = [], b""
    for key, value in network.state_dict().items():
        path, depthwise = manifest_name(key)
        order = {4: (2, 3, 0, 1) if depthwise else (2, 3, 1, 0), 2: (1, 0), 1: (0,)}[value.ndim]
        laid = value.permute(*order)
        entry: dict[str, object] = {"name": path, "shape": list(laid.shape), "dtype": "float32"}
        values = laid.numpy()
        if value.ndim > 1:
            low, high = float(values.min()), float(values.max())
            scale = (high - low) / 255
            packed = np.round((values - low) / scale).astype(np.uint8)
            entry["quantization"] = {"dtype": "uint8", "scale": scale, "min": low}
            data += packed.tobytes()
        else:
            data += np.ascontiguousarray(values, np.float32).tobytes()
        entries.append(entry)
    (folder / f"{name}-shard1").write_bytes(data)
    group = [{"paths": [f"{name}-shard1"], "weights": entries}]
    (folder / f"{name}-weights_manifest.json").write_text(json.dumps(group))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("face-api")
    torch.manual_seed(0)
    write(folder, face_api.EXPRESSION, FaceApiExpression())
    write(folder, face_api.GENDER, FaceApiGender())
    return folder


def test_weights_come_back_as_they_were_to_within_a_byte(weights: Path) -> None:
    torch.manual_seed(0)
    for wanted, read in ((FaceApiExpression(), read_expression), (FaceApiGender(), read_gender)):
        found = read(weights).state_dict()
        assert found.keys() == wanted.state_dict().keys()
        for key, value in wanted.state_dict().items():
            reach = float(value.max() - value.min()) / 255
            torch.testing.assert_close(found[key], value, rtol=0, atol=reach / 2 + 1e-6)


def test_probabilities_are_of_the_pixels_in_the_box_alone(weights: Path) -> None:
    judge = load_second(f"face-api:{weights}")
    assert judge.attributes == ("Smiling", "Male")
    faces = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    box = box_in("centre148")
    assert box is not None
    for attribute in judge.attributes:
        before = judge.read(faces, attribute, box)
        assert before.shape == (3, 1)
        assert ((before > 0) & (before < 1)).all()
        beside, within = faces.copy(), faces.copy()
        beside[:, :8] = 255 - beside[:, :8]
        within[:, 30:40, 30:40] = 255 - within[:, 30:40, 30:40]
        assert (judge.read(beside, attribute, box) == before).all()
        assert (judge.read(within, attribute, box) != before).all()


def test_the_box_is_the_same_place_of_the_face_in_every_crop() -> None:
    for crop, side in (("centre148", 148), ("centre178", 178), ("centre128", 128)):
        box = box_in(crop)
        assert box is not None
        left, top = (178 - side) / 2, (218 - side) / 2
        found = (box[0] * side + left, box[1] * side + top, box[2] * side + left, box[3] * side + top)
        assert found == pytest.approx((29, 60, 149, 180))
    assert box_in("drawn") is box_in("square") is box_in(None) is None


def test_what_is_no_second_judge_is_refused(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(VisagistError, match="no second judge 'other:x': give face-api:FOLDER"):
        load_second("other:x")
    with pytest.raises(VisagistError, match="has no face_expression_model-weights_manifest"):
        load_second(f"face-api:{tmp_path}")
    (tmp_path / f"{face_api.GENDER}-weights_manifest.json").write_text("[]")
    with pytest.raises(VisagistError, match=r"age_gender_model-weights_manifest\.json is damaged"):
        load_second(f"face-api:{tmp_path}")


class BrightnessToo(FaceApiJudge):
    """Reads the smile as the double of the first judge does, but says the contrary where it is told to."""

    def __init__(self, contrary: bool = False) -> None:
        self.attributes, self.hashes, self.contrary = ("Smiling",), {"Smiling": [f"{contrary}"]}, contrary

    def read(self, images: np.ndarray, attribute: str, box: object) -> np.ndarray:
        scores = BrightnessJudge().score(images)[:, 1:]
        return 1 - scores if self.contrary else scores


def measured(method: DoNothing, second: FaceApiJudge | None, crop: str = "centre148") -> Metrics:
    faces = plain_faces(60)
    faces.manifest["crop"] = crop
    return evaluate(editor_of(method), faces, judge=BrightnessJudge(), second=second)


def test_a_judge_that_sees_the_same_agrees_and_one_that_sees_the_contrary_does_not() -> None:
    perfect, nothing = (measured(m, BrightnessToo()) for m in (Perfect(), DoNothing()))
    for key, done in (("success_0", 1), ("from_0.success_1", 1), ("agreement", 1), ("balanced_accuracy", 1)):
        assert perfect[f"second.Smiling.{key}"]["value"] == done
    for key in ("success_0", "from_0.success_1", "at_strength.success_0", "base_rate_photo.success_0"):
        assert nothing[f"second.Smiling.{key}"]["value"] == 0
    contrary = measured(Perfect(), BrightnessToo(contrary=True))
    for key in ("success_0", "agreement", "balanced_accuracy"):
        assert contrary[f"second.Smiling.{key}"]["value"] == 0
    assert contrary["second.Smiling.base_rate_photo.success_0"]["value"] == 1
    assert contrary.manifest["second_judge"]["name"] == "face-api"


def test_what_it_cannot_read_it_gives_a_reason_for() -> None:
    assert "give --second face-api:FOLDER" in measured(Perfect(), None).not_computed["second.*"]
    drawn = measured(Perfect(), BrightnessToo(), "drawn").not_computed["second.Smiling.*"]
    assert "CelebA's centre crops" in drawn


@pytest.mark.data
@pytest.mark.skipif("VISAGIST_DATA" not in os.environ, reason="needs real faces: set VISAGIST_DATA to their folder")
def test_on_real_faces_it_reads_as_well_as_it_is_known_to() -> None:
    root = Path(os.environ["VISAGIST_DATA"])
    judge = load_second(f"face-api:{root / 'weights/faceapi'}")
    faces = load_data(f"celeba:{root / 'celeba'}", image_size=64, crop="centre148")
    faces = faces.take(faces.sample("test", 500, 0))
    box = box_in("centre148")
    assert box is not None
    for attribute, least in (("Smiling", 0.94), ("Male", 0.97)):
        assert roc_auc_score(faces.column(attribute), judge.read(faces.images, attribute, box)[:, 0]) > least
