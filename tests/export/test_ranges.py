# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Values that FP16 cannot hold: they are found, what makes them stays in FP32, what drops them is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from fake_bundle import TINY_BUNDLE, make_bundle
from graph_rules import in_full
from onnx import TensorProto, helper, numpy_helper, parser

import export.precisions as module
from export.half import element_types, to_half
from export.precisions import add_precisions
from export.ranges import hot_values
from export.rounded import rounded
from export.zones import around
from sdtc_ros.models.bundle import Bundle, load_bundle, read_manifest, save_manifest

pytestmark = pytest.mark.slow

HEAD = '<ir_version: 8, opset_import: ["": 20]> g '
ATTENTION = """(float[n, 4, 4] tokens) => (float[n, 4, 4] out) {
    q = MatMul(tokens, w)
    k = MatMul(tokens, v)
    turned = Transpose<perm = [0, 2, 1]>(k)
    product = MatMul(q, turned)
    logits = Mul(product, scale)
    shares = Softmax(logits)
    out = MatMul(shares, tokens)
}"""


def attention(scale: float) -> onnx.ModelProto:
    model = parser.parse_model(HEAD + ATTENTION)
    random = np.random.default_rng(0)
    weights = {name: random.normal(size=(4, 4)).astype(np.float32) for name in ("w", "v")}
    weights["scale"] = np.float32(scale)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), name) for name, v in weights.items())
    return model


def run(model: onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)


def loud_bundle(folder: Path, gain: float) -> Bundle:
    """The arithmetic bundle with a detour through values `gain` times as large, in its temporal graph."""
    make_bundle(folder)
    model = onnx.load(folder / "temporal.onnx")
    graph = model.graph
    (multiply,) = [node for node in graph.node if "keypoints" in node.output]
    multiply.output[0] = "quiet"
    graph.node.extend(
        [
            helper.make_node("Mul", ["quiet", "gain"], ["loud"]),
            helper.make_node("Div", ["loud", "gain"], ["keypoints"]),
        ]
    )
    graph.initializer.append(numpy_helper.from_array(np.float32([gain]), "gain"))
    onnx.save(model, folder / "temporal.onnx")
    return save_manifest(folder, read_manifest(folder), {})


@pytest.mark.parametrize(("gain", "hot"), [(1.0, set()), (1000.0, {"loud"})])
def test_what_is_hot(tmp_path: Path, gain: float, hot: set[str]) -> None:
    """The colours of people lie below 256; a thousand times as much is near FP16's end."""
    assert hot_values(loud_bundle(tmp_path, gain)) == (set(), hot)


def test_the_shipped_model_s_unscaled_products_are_hot() -> None:
    """Those of equations 7 and 8; its encoder has none."""
    bundle = load_bundle(TINY_BUNDLE)
    encoder, temporal = hot_values(bundle)
    assert encoder == set()
    nodes = {name: node for node in onnx.load(bundle.temporal).graph.node for name in node.output}
    assert temporal
    assert {nodes[name].op_type for name in temporal} == {"MatMul"}


def test_what_makes_hot_values_is_full_from_the_last_weights_on() -> None:
    model = attention(1.0)
    chosen = sorted(model.graph.node[number].output[0] for number in around(model.graph, {"product"}))
    assert chosen == ["logits", "product", "turned"]  # what reads it too: its input would be cast down first
    assert in_full(to_half(model)) == {}
    assert in_full(to_half(model, {"product"})) == {"MatMul": 1}
    assert in_full(to_half(model, {"q"})) == {"MatMul": 2}  # a layer with weights, and the product that reads it
    assert in_full(to_half(model, {"out"})) == {"MatMul": 1}  # a softmax is in FP32 as it is


def test_rounded_graphs_round_where_fp16_graphs_do() -> None:
    """Against numpy's own FP16, operator by operator."""
    text = """(float[n, 3] tokens) => (float[n, 2] out, float[n, 2] other) {
        product = MatMul(tokens, w)
        out = Add(product, b)
        shares = Softmax(out)
        other = Relu(shares)
    }"""
    model = parser.parse_model(HEAD + text)
    random = np.random.default_rng(1)
    weights = {"w": random.normal(size=(3, 2)).astype(np.float32), "b": np.float32([1000.1, 0.3])}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    half = to_half(model)
    made = rounded(half)
    assert TensorProto.FLOAT16 not in {weight.data_type for weight in made.graph.initializer}
    assert made.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    tokens = random.normal(size=(5, 3)).astype(np.float16)
    out, other = run(made, tokens=tokens.astype(np.float32))
    wide = {name: value.astype(np.float16).astype(np.float32) for name, value in weights.items()}
    product = (tokens.astype(np.float32) @ wide["w"]).astype(np.float16).astype(np.float32)
    expected = (product + wide["b"]).astype(np.float16)
    np.testing.assert_array_equal(out, expected.astype(np.float32))
    exact = np.exp(expected.astype(np.float32) - expected.astype(np.float32).max(1, keepdims=True))
    shares = exact / exact.sum(1, keepdims=True)
    np.testing.assert_allclose(other, shares.astype(np.float16).astype(np.float32), atol=1e-7)
    assert set(np.unique(out.astype(np.float16).astype(np.float32) - out)) == {0.0}


def test_overflow_shows_in_a_rounded_graph_and_is_kept_from_a_made_one() -> None:
    model = attention(1.0)
    tokens = np.random.default_rng(2).normal(size=(2, 4, 4)).astype(np.float32) * 300
    (expected,) = run(model, tokens=tokens)
    (plain,) = run(rounded(to_half(model)), tokens=tokens)
    assert not np.isfinite(plain).all()  # products beyond 65504, and infinity less infinity in the softmax
    (kept,) = run(rounded(to_half(model, {"product"})), tokens=tokens)
    assert np.isfinite(kept).all()
    assert np.median(np.abs(kept - expected)) < 1  # of values in the hundreds


def test_a_network_that_overflows_in_fp16_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime on the CPU would not notice; with the range known, the same network is taken."""
    bundle = loud_bundle(tmp_path / "loud", 1000.0)
    _, (good,) = add_precisions(bundle.folder, ["fp16"], windows=2)
    assert good.deviation is not None
    assert 0 < good.deviation.max < 0.5  # keypoints of this network are whole FP16 numbers
    monkeypatch.setattr(module, "hot_values", lambda bundle: (set(), set()))
    again, (bad,) = add_precisions(bundle.folder, ["fp16"], windows=2)
    assert bad.deviation is not None
    assert bad.deviation.max == np.inf
    assert "one by inf px" in bad.refusal
    assert again.precisions == {}


def test_the_small_graph_is_typed_as_it_says() -> None:
    types = element_types(to_half(attention(0.5), {"product"}))
    assert types["product"] == TensorProto.FLOAT
    assert types["q"] == TensorProto.FLOAT16
