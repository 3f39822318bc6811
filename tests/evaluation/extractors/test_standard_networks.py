"""Inception of 2015, LPIPS and dlib's embedder: their structure and formulas, and what is said of other files."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from visagist import VisagistError
from visagist.evaluation.extractors.standard_networks import InceptionFeatures, load_distance
from visagist.evaluation.metrics.distribution import frechet_distance, inception_score_of_splits, kernel_distance_of_subsets
from visagist.evaluation.session import load_embedder
from visagist.networks.pretrained.inception import InceptionV3, resize_as_tensorflow
from visagist.networks.pretrained.lpips import BACKBONES, Lpips, build_lpips
from visagist.networks.pretrained.weight_files import find_weights

# Of the lines "NAME SHAPE", sorted, of torch-fidelity's own extractor, into which the published file is loaded.
LAYOUT = "8cdd2faeb41211e17f0fb47e66168d0cb1f981aa773b5f44e5b9cc93857fe492"


def test_inception_has_the_parts_of_the_published_file_by_name_and_shape() -> None:
    with torch.device("meta"):
        state = InceptionV3().state_dict()
    lines = "\n".join(f"{name} {list(tensor.shape)}" for name, tensor in sorted(state.items()))
    assert hashlib.sha256(lines.encode()).hexdigest() == LAYOUT
    assert len(state) == 566


def test_pictures_are_resized_as_by_tensorflow_of_old() -> None:
    # Pixel i of the result is taken at i · 2 / 4, without half a pixel's shift, and the last repeats.
    row = torch.tensor([0.0, 8.0]).view(1, 1, 1, 2)
    np.testing.assert_array_equal(resize_as_tensorflow(row, 4)[0, 0, 0], [0, 4, 8, 8])
    x = torch.rand(1, 3, 7, 5)
    assert resize_as_tensorflow(x, 11).shape == (1, 3, 11, 11)


def test_distances_and_scores_are_those_of_the_formulas() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(120, 12)) @ rng.normal(size=(12, 12))
    b = 1.1 * rng.normal(size=(90, 12)) @ rng.normal(size=(12, 12)) + 0.3
    root = sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, abs=1e-3)

    draw, distances = np.random.RandomState(2020), []
    for _ in range(20):
        x, y = (part[draw.choice(len(part), 50, replace=False)] for part in (a, b))
        same = [np.mean([(p @ q / 12 + 1) ** 3 for i, p in enumerate(s) for j, q in enumerate(s) if i != j]) for s in (x, y)]
        distances.append(sum(same) - 2 * np.mean([(p @ q / 12 + 1) ** 3 for p in x for q in y]))
    assert kernel_distance_of_subsets(a, b, 20, 50) == pytest.approx(np.mean(distances), rel=1e-4)

    logits = rng.normal(size=(53, 9))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    p = p[np.random.RandomState(2020).permutation(53)]
    parts = [p[i * 53 // 10 : (i + 1) * 53 // 10] for i in range(10)]
    scores = [np.exp(np.mean([(q * np.log(q / part.mean(0))).sum() for q in part])) for part in parts]
    assert inception_score_of_splits(logits)["value"] == pytest.approx(np.mean(scores), abs=1e-9)


def test_a_file_that_is_not_inceptions_is_named_and_one_of_other_weights_has_another_name(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(VisagistError, match=r"is not Inception of 2015-12-05: it lacks Conv2d_1a_3x3\.bn\.bias; give"):
        InceptionFeatures(str(tmp_path / "other.pth"))
    state = {key: value for key, value in InceptionV3().state_dict().items() if not key.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "random.pth")
    network = InceptionFeatures(str(tmp_path / "random.pth"))
    assert network.name == f"inception-{network.sha256[:8]}"
    assert not network.standard
    features = network(np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8))
    assert features.shape == (1, 2048)
    assert network.logits(features).shape == (1, 1008)


def lpips_weights(name: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    network = Lpips(name)
    backbone = {
        key.replace("convolutions.", "features."): value for key, value in network.state_dict().items() if "convo" in key
    }
    heads = {f"lin{i}.model.1.weight": torch.rand(1, len(w), 1, 1) for i, w in enumerate(network.weights)}
    return backbone, heads


@pytest.mark.parametrize("name", BACKBONES)
def test_lpips_is_the_papers_sum_over_layers(name: str) -> None:
    backbone, heads = lpips_weights(name)
    network = build_lpips(name, backbone, heads)
    a, b = torch.rand(2, 2, 3, 64, 64)
    with torch.no_grad():
        expected = torch.zeros(2)
        for i, (x, y) in enumerate(zip(network.maps(a), network.maps(b))):
            x, y = (h / (h.norm(dim=1, keepdim=True) + 1e-10) for h in (x, y))
            expected += (heads[f"lin{i}.model.1.weight"] * (x - y) ** 2).sum(1).mean((1, 2))
        torch.testing.assert_close(network(a, b), expected)
        assert network(a, a).abs().max() == 0
        torch.testing.assert_close(network(a, b), network(b, a))


def test_lpips_with_weights_that_are_not_torchvisions_is_not_called_so(tmp_path: Path) -> None:
    backbone, heads = lpips_weights("alex")
    torch.save(backbone, tmp_path / "alexnet.pth")
    torch.save(heads, tmp_path / "alex.pth")
    network = load_distance(f"lpips-alex:{tmp_path / 'alexnet.pth'},{tmp_path / 'alex.pth'}")
    assert network.name.startswith("lpips-alex-")
    faces = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    assert network.distance(faces, faces[::-1]).shape == (3,)
    for which, message in (
        ("lpips-alx:a,b", "did you mean lpips-alex"),
        ("lpips-alex:only.pth", r"needs two files, got only\.pth"),
        (f"lpips-vgg:{tmp_path / 'alexnet.pth'},{tmp_path / 'alex.pth'}", "not the weights of LPIPS with vgg"),
        (f"lpips-alex:{tmp_path / 'none.pth'},x", r"no file .*none\.pth"),
    ):
        with pytest.raises(VisagistError, match=message):
            load_distance(which)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "weights.pth").write_bytes(b"some weights")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path))  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/weights.pth"
        running.shutdown()
        thread.join()


@pytest.mark.usefixtures("own_cache")
def test_weights_at_an_address_are_fetched_once_and_only_by_their_hash(server: str, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"some weights").hexdigest()
    with pytest.raises(VisagistError, match="is an address: add #sha256=HEX"):
        find_weights(server)
    with pytest.raises(VisagistError, match=r"not 0000.*it is not used"):
        find_weights(f"{server}#sha256={64 * '0'}")
    assert list((tmp_path / "cache").rglob("*.pth*")) == []
    path, known = find_weights(f"{server}#sha256={digest}")
    assert (path.read_bytes(), known) == (b"some weights", digest)
    (tmp_path / "weights.pth").unlink()
    assert find_weights(f"{server}#sha256={digest}")[0] == path
    with pytest.raises(VisagistError, match="64 hexadecimal digits"):
        find_weights(f"{server}#sha256=12")
    with pytest.raises(VisagistError, match="it is another file"):
        find_weights(f"{path}#sha256={64 * '0'}")


def test_dlibs_embedder_tells_a_face_from_another() -> None:
    pytest.importorskip("dlib")
    pytest.importorskip("face_recognition_models")
    from portraits import portrait

    embed = load_embedder("dlib")
    assert embed is not None
    face = portrait()
    darker, other = (face * 0.8).astype(np.uint8), np.ascontiguousarray(face[::-1])
    rows = embed(np.stack([face, darker, other]))
    assert rows.shape == (3, 128)
    near, far = (float(np.linalg.norm(rows[0] - row)) for row in rows[1:])
    assert near < 0.3 < far
