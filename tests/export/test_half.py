# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""FP16 graphs: which nodes run in it, where casts stand, what becomes of weights."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from fake_bundle import TINY_BUNDLE
from graph_rules import complaints_of_tensorrt, in_full, in_half
from onnx import TensorProto, numpy_helper, parser

from export.half import element_types, half, to_half
from export.zones import decoding, pixels, reading_places
from sdtc_ros.errors import BundleError
from sdtc_ros.models.bundle import load_bundle

HEAD = '<ir_version: 8, opset_import: ["": 20]> g '


def graph(text: str, **weights: np.ndarray) -> onnx.ModelProto:
    """A model from ONNX's text form, its larger weights given as arrays."""
    model = parser.parse_model(HEAD + text)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    return model


def run(model: onnx.ModelProto, **feeds: np.ndarray) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)


def kinds(model: onnx.ModelProto) -> list[str]:
    """Every node as OPERATOR:type of its output, in order."""
    types = element_types(model)
    return [f"{node.op_type}:{TensorProto.DataType.Name(types[node.output[0]])}" for node in model.graph.node]


def values(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def test_a_norm_and_a_softmax_stand_between_casts() -> None:
    text = """(float[n, 4] tokens) => (float[n, 4] out) {
        normed = LayerNormalization(tokens, scale, shift)
        mixed = MatMul(normed, w)
        shares = Softmax(mixed)
        out = MatMul(shares, w)
    }"""
    model = graph(text, scale=np.ones(4, np.float32), shift=np.zeros(4, np.float32), w=random(4, 4))
    made = to_half(model)
    assert kinds(made) == [
        "Cast:FLOAT", "LayerNormalization:FLOAT", "Cast:FLOAT16", "MatMul:FLOAT16", "Cast:FLOAT", "Softmax:FLOAT",
        "Cast:FLOAT16", "MatMul:FLOAT16",
    ]  # fmt: skip
    assert {name: value.dtype.name for name, value in values(made).items()} == {
        "scale": "float32", "shift": "float32", "w_half": "float16",
    }  # fmt: skip
    tokens = random(3, 4)
    (expected,), (got,) = run(model, tokens=tokens), run(made, tokens=tokens.astype(np.float16))
    assert got.dtype == np.float16
    np.testing.assert_allclose(got, expected, atol=5e-3)
    assert kinds(model)[0] == "LayerNormalization:FLOAT"  # the original is left as it was


def test_from_the_last_convolution_on_all_is_full() -> None:
    text = """(float[n, 2, 4, 4] tokens) => (float[n, 3] keypoints, float[n, 1, 4, 4] heatmaps)
    <int64[2] to = {0, -1}, int64[1] axis = {1}> {
        deep = Conv(tokens, w1)
        wide = Relu(deep)
        logits = Conv(wide, w2)
        heatmaps = Sigmoid(logits)
        flat = Reshape(heatmaps, to)
        keypoints = MatMul(flat, read)
    }"""
    model = graph(text, w1=random(2, 2, 1, 1), w2=random(1, 2, 1, 1), read=random(16, 3))
    made = to_half(model)
    assert in_full(made) == {"Conv": 1, "MatMul": 1}
    assert dict(in_half(made)) == {"Conv": 1, "Relu": 1}
    assert sorted(model.graph.node[number].op_type for number in decoding(model.graph)) == [
        "Conv",
        "MatMul",
        "Reshape",
        "Sigmoid",
    ]
    assert [TensorProto.DataType.Name(v.type.tensor_type.elem_type) for v in made.graph.output] == ["FLOAT", "FLOAT"]


def test_pixels_are_normalised_in_full() -> None:
    text = """(uint8[n, 3, 4, 4] crops) => (float[n, 2, 4, 4] tokens) <float mean = {127.5}, float unit = {0.0078125}> {
        real = Cast<to = 1>(crops)
        centred = Sub(real, mean)
        scaled = Mul(centred, unit)
        tokens = Conv(scaled, w)
    }"""
    model = graph(text, w=random(2, 3, 1, 1))
    made = to_half(model)
    assert kinds(made) == ["Cast:FLOAT", "Sub:FLOAT", "Mul:FLOAT", "Cast:FLOAT16", "Conv:FLOAT16"]
    assert len(pixels(model.graph)) == 3
    assert made.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8


def test_joints_in_each_frame_are_handed_on_in_full() -> None:
    """Column 40 + 1/64 is no number in FP16 either: from the layer that finds it to the one that takes it in."""
    found = to_half(graph(
        "(float[1, 4] tokens) => (float[1, 4] joints, float[1, 4] out) <float far = {40.0}>"
        " { hidden = MatMul(tokens, w) offset = MatMul(hidden, w) joints = Add(offset, far) out = MatMul(hidden, w) }",
        w=random(4, 4),
    ))  # fmt: skip
    assert kinds(found) == [
        "MatMul:FLOAT16", "Cast:FLOAT", "MatMul:FLOAT", "Add:FLOAT", "MatMul:FLOAT16",
    ]  # fmt: skip
    taken = to_half(graph(
        "(float[1, 4] joints) => (float[1, 4] out) <float far = {40.0}>"
        " { near = Sub(joints, far) hidden = MatMul(near, w) out = Relu(hidden) }", w=random(4, 4)
    ))  # fmt: skip
    assert kinds(taken) == ["Sub:FLOAT", "Cast:FLOAT16", "MatMul:FLOAT16", "Relu:FLOAT16"]
    exact = {value.name: value.type.tensor_type.elem_type for value in (*found.graph.output, *taken.graph.input)}
    assert exact == {"joints": TensorProto.FLOAT, "out": TensorProto.FLOAT16}


def test_places_of_readings_are_computed_in_full() -> None:
    """70 + 1/16 is no number in FP16: where deformable convolutions read is found in FP32, from the convolution on."""
    text = """(float[1, 2, 8, 80] tokens) => (float[1, 2, 8, 80] out) <float far = {70.0}, float unit = {0.01}> {
        offsets = Conv(tokens, w)
        places = Transpose<perm = [0, 2, 3, 1]>(offsets)
        moved = Add(places, far)
        grid = Mul(moved, unit)
        read = GridSample<align_corners = 0>(tokens, grid)
        out = Conv(read, w)
    }"""
    model = graph(text, w=random(2, 2, 1, 1))
    made = to_half(model)
    assert sorted(model.graph.node[number].op_type for number in reading_places(model.graph)) == [
        "Add",
        "Mul",
        "Transpose",
    ]
    assert dict(in_half(made)) == {"Conv": 2}
    assert "GridSample:FLOAT" in kinds(made)


def test_weights_round_and_large_ones_keep_their_node_in_full() -> None:
    found = half(np.array([1e-9, -1e-9, 3e-8, 7e4, -7e4, np.inf, -np.inf, 0.1], np.float32))
    largest = np.finfo(np.float16).max
    np.testing.assert_array_equal(found, np.array([0, 0, 6e-8, largest, -largest, np.inf, -np.inf, 0.1], np.float16))
    text = """(float[n, 2] tokens) => (float[n, 2] out) {
        small = MatMul(tokens, fits)
        out = Mul(small, huge)
    }"""
    made = to_half(graph(text, fits=random(2, 2), huge=np.array([1e5], np.float32)))
    assert kinds(made) == ["MatMul:FLOAT16", "Cast:FLOAT", "Mul:FLOAT", "Cast:FLOAT16"]
    assert values(made)["huge"] == 1e5
    masked = to_half(graph(text, fits=random(2, 2), huge=np.array([-np.inf], np.float32)))  # of attention, say
    assert kinds(masked) == ["MatMul:FLOAT16", "Mul:FLOAT16"]


def test_a_weight_of_both_kinds_and_an_output_read_again() -> None:
    text = """(float[n, 4] tokens) => (float[n, 4] heatmaps, float[n, 4] out) {
        logits = Mul(tokens, w)
        heatmaps = Softmax(logits)
        other = Add(tokens, w)
        out = Mul(other, other)
    }"""
    made = to_half(graph(text, w=random(4)))
    assert sorted(values(made)) == ["w", "w_half"]  # above heatmaps stands no convolution: all of it is decoding
    got = run(made, tokens=random(2, 4).astype(np.float16))
    assert [value.dtype.name for value in got] == ["float32", "float16"]


def test_an_output_that_others_read() -> None:
    text = """(float[n, 4] tokens) => (float[n, 4] early, float[n, 4] late) {
        early = Softmax(tokens)
        late = Mul(early, w)
    }"""
    made = to_half(graph(text, w=random(4)))
    early, late = run(made, tokens=random(2, 4).astype(np.float16))
    assert (early.dtype, late.dtype) == (np.float16, np.float16)
    np.testing.assert_allclose(late, early * half(random(4)), rtol=2e-3)


def test_constants_counters_and_scales_of_a_resize() -> None:
    text = """(float[n, 1, 2, 2] tokens) => (float[n, 1, 4, 4] out)
    <float[4] scales = {1.0, 1.0, 2.0, 2.0}, int64[1] one = {1}, int64 zero = {0},
     int64 end = {4000}, int64 step = {1000}> {
        added = Constant<value = float {0.5}>()
        noughts = ConstantOfShape<value = float[1] {3.0}>(one)
        counted = Range(zero, end, step)
        places = Cast<to = 1>(counted)
        raised = Add(tokens, added)
        more = Add(raised, noughts)
        larger = Resize<mode = "linear">(more, , scales)
        out = Add(larger, places)
    }"""
    model = graph(text)
    made = to_half(model)
    assert dict(in_half(made)) == {"Constant": 1, "Add": 3, "Resize": 1}
    assert values(made)["scales"].dtype == np.float32
    assert {"ConstantOfShape:FLOAT", "Range:INT64", "Resize:FLOAT16"} <= set(kinds(made))
    tokens = random(1, 1, 2, 2)
    (expected,), (got,) = run(model, tokens=tokens), run(made, tokens=tokens.astype(np.float16))
    np.testing.assert_allclose(got, expected, rtol=2e-3)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("(float16[n] tokens) => (float16[n] out) { out = Relu(tokens) }", "FP32 graphs only"),
        ("(double[n] tokens) => (double[n] out) { out = Relu(tokens) }", "FP32 graphs only"),
        (
            "(bool cond, float[n] tokens) => (float[n] out) { out = If(cond) <then_branch = yes () => (float[n] a) "
            "{ a = Relu(tokens) }, else_branch = no () => (float[n] b) { b = Abs(tokens) }> }",
            "If .control flow. cannot be made FP16",
        ),
    ],
)
def test_graphs_of_other_kinds_are_refused(text: str, told: str) -> None:
    with pytest.raises(BundleError, match=told):
        to_half(graph(text))


def test_types_that_do_not_fit_are_seen() -> None:
    """The check that all made graphs go through is one that fails."""
    made = to_half(graph("(float[n, 4] tokens) => (float[n, 4] out) { out = MatMul(tokens, w) }", w=random(4, 4)))
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(random(4, 4), "w_half"))
    with pytest.raises(onnx.shape_inference.InferenceError):
        element_types(made)


def test_large_weights_are_left_out_of_type_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a model above protobuf's 2 GiB only what is small may be serialised."""
    sizes = []
    infer = onnx.shape_inference.infer_shapes

    def watched(model: onnx.ModelProto, **options: object) -> onnx.ModelProto:
        sizes.append(model.ByteSize())
        return infer(model, **options)

    monkeypatch.setattr(onnx.shape_inference, "infer_shapes", watched)
    text = "(float[n, 1000] tokens) => (float[n, 1000] out) { out = MatMul(tokens, w) }"
    made = to_half(graph(text, w=random(1000, 1000)))
    assert made.ByteSize() > 2_000_000
    assert len(sizes) == 2
    assert max(sizes) < 10_000


@pytest.mark.parametrize("name", ["encoder", "temporal"])
def test_the_shipped_model(name: str) -> None:
    """Typed throughout; its trunk in FP16, the head's last convolution and the two blurs of decoding in FP32."""
    bundle = load_bundle(TINY_BUNDLE)
    made = to_half(onnx.load(bundle.encoder if name == "encoder" else bundle.temporal))
    onnx.checker.check_model(made, full_check=True)
    assert in_full(made) == ({} if name == "encoder" else {"Conv": 1, "MatMul": 2})
    assert in_half(made)["MatMul"] > 30
    assert not {"Softmax", "LayerNormalization", "Log", "ReduceSum"}.intersection(in_half(made))


def test_the_table_of_operators_finds_what_is_not_in_it() -> None:
    """What earlier graphs had: uint8 that is moved about, whole numbers that are clamped, axes that are computed."""
    moved = graph("(uint8[n, 2] crops) => (uint8[2, n] out) { out = Transpose(crops) }")
    clamped = graph("(int64[n] at) => (int64[n] out) <int64 low = {1}> { out = Clip(at, low) }")
    computed = graph("(float[n, 2] x, int64[1] axis) => (float out) { out = ReduceSum<keepdims = 0>(x, axis) }")
    stored = graph("(float[1, 1, 4, 4] x, float16[1, 1, 3, 3] w) => (float[1, 1, 2, 2] out) "
                   "{ k = Cast<to = 1>(w) out = Conv(x, k) }")  # fmt: skip
    strange = graph("(float[n] x) => (float[n] out) { out = Sin(x) }")
    found = [complaints_of_tensorrt(model) for model in (moved, clamped, computed, stored, strange)]
    assert found == [
        ["Transpose of ['UINT8']"], ["Clip of ['INT64']"], ["ReduceSum with axes that are no initializer"],
        ["Conv with a kernel that is no initializer"], ["Sin is not in the table"],
    ]  # fmt: skip
