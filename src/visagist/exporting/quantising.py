"""Graphs in eight bits: weights and activations quantised by faces that are named, and what that costs.

Convolutions and linear layers are quantised, a scale for each output channel (onnxruntime's static quantisation, in QDQ
form). Their ranges are those of calibration faces, edited at many settings. The layer that reads pixels and the one that
paints them stay as they are: they are a hundredth of the weights, and a level of eight bits is more than half a shade there.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.exporting.checks import faces_to_check, inputs_of
from visagist.exporting.modules import Part
from visagist.exporting.tracing import trace
from visagist.judges import CALIBRATING_JUDGE, load_judge
from visagist.runtime.arrays import Floats

if TYPE_CHECKING:
    import onnx

CALIBRATION_FACES, BATCH = 200, 20
# First and last convolutions that stay whole, from attempt to attempt. Quantised, those of a model without a code, whose
# layers all see pixels at their own size, cost 1.5 points of success: its first attempt is the second.
ENDS = ((0, 0), (2, 3), (4, 6), (6, 10))
MOST_LOST = 1.0  # points of success in any direction of any attribute: more is mended, or else said
_QUANTISED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


class CalibrationReader:
    """What onnxruntime calibrates a graph by: the part's inputs for each batch of faces."""

    def __init__(self, part: Part, source: Part | None, images: Floats) -> None:
        generator = np.random.default_rng(0)
        self._feeds: Iterator[dict[str, Floats]] = (
            dict(zip(part.input_names, inputs_of(part, source, images[start : start + BATCH], generator)))
            for start in range(0, len(images), BATCH)
        )

    def get_next(self) -> dict[str, Floats] | None:
        """The next batch, None after the last."""
        return next(self._feeds, None)


def quantise(part: Part, source: Part | None, faces: Faces | None, *, whole_ends: int = 0) -> bytes:
    """The graph of a part in eight bits, with its weights in it; `source` is the part that its first inputs come from.

    `whole_ends` is how many of its `ENDS`, first and last convolutions, stay as they are, none for 0.
    """
    from visagist.runtime.graphs import load_onnxruntime

    load_onnxruntime()
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    images = faces_to_check(faces, CALIBRATION_FACES, (source or part).inputs[0].shape[-1])
    with tempfile.TemporaryDirectory() as scratch:
        plain, result = Path(scratch) / "plain.onnx", Path(scratch) / "quantised.onnx"
        model = _optimised(trace(part), plain)
        with _without_advice():
            quantize_static(
                plain, result, CalibrationReader(part, source, images), quant_format=QuantFormat.QDQ, per_channel=True,
                op_types_to_quantize=list(_QUANTISED), nodes_to_exclude=_ends(model) + _outer(model, whole_ends),
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.MinMax,
            )  # fmt: skip
        return result.read_bytes()


@contextmanager
def _without_advice() -> Iterator[None]:
    """Leave out onnxruntime's advice to optimise a graph first, which is done."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)


def _optimised(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """The graph with its batch norms in the convolutions before them, written to a file; its nodes have names."""
    import onnx

    from visagist.runtime.graphs import load_onnxruntime

    runtime = load_onnxruntime()
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath, options.log_severity_level = str(path), 3
    runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    optimised = onnx.load(path)
    for number, node in enumerate(optimised.graph.node):
        node.name = f"{node.op_type}_{number}"
    onnx.save(optimised, path)
    return optimised


def _ends(model: onnx.ModelProto) -> list[str]:
    """The layers that read and that paint pixels: those whose weights see or make three channels."""
    weights = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    ends = []
    for node in model.graph.node:
        shape = weights.get(node.input[1], ()) if len(node.input) > 1 else ()
        if node.op_type in ("Conv", "ConvTranspose") and 3 in shape[:2]:
            ends.append(node.name)
    return ends


def _outer(model: onnx.ModelProto, whole_ends: int) -> list[str]:
    """The first and last convolutions of a graph, as many as `ENDS` says."""
    layers = [node.name for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose")]
    first, last = ENDS[whole_ends]
    return [*layers[:first], *layers[len(layers) - last :]]


def losses_of(plain: Editor, quantised: Editor, faces: Faces | None, embedder: Any = None) -> dict[str, Any]:
    """What quantisation costs at strength 1 and -1: points of success by the calibrating judge, pixels, and identity.

    VisagistError where the judge knows none of the model's attributes.
    """
    judge = load_judge(CALIBRATING_JUDGE)
    images = faces_to_check(faces, CALIBRATION_FACES, plain.image_size)
    pixels = np.rint(images.transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    known = [name for name in plain.attributes if name in judge.attributes]
    if not known:
        raise VisagistError(f"{CALIBRATING_JUDGE} reads none of {', '.join(plain.attributes)}: success cannot be measured")
    success, shades, likeness = dict[str, float](), [], []
    for name in known:
        column = judge.attributes.index(name)
        for strength in (1.0, -1.0):
            pair = [editor.edit(pixels, aligned=True, **dict[str, Any]({name: strength})) for editor in (plain, quantised)]
            read = [(judge.score(edited)[:, column] >= 0.5) == (strength > 0) for edited in pair]
            success[f"{name}={strength:+.0f}"] = 100 * float(read[0].mean() - read[1].mean())
            shades.append(float(np.abs(np.subtract(*pair, dtype=int)).mean()))
            if embedder is not None:
                likeness.append(_identity_lost(embedder, pixels, pair))
    losses = {
        "success_lost_points": round(float(np.mean(list(success.values()))), 2),
        "success_lost_most_points": round(max(success.values()), 2),
        "more_than_a_point_lost_at": [name for name, lost in success.items() if lost > MOST_LOST + 1e-6],
        "pixels_mean_levels": round(float(np.mean(shades)), 3),
    }
    return losses | ({"identity_lost": round(float(np.mean(likeness)), 4)} if likeness else {})


def _identity_lost(embedder: Any, faces: np.ndarray, pair: Mapping[int, Any] | list[Any]) -> float:
    """By how much the cosine of faces and their edits falls."""
    own, before, after = (embedder(images) for images in (faces, pair[0], pair[1]))
    return float((own * before).sum(1).mean() - (own * after).sum(1).mean())
