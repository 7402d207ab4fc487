# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""MoveNet's weights alone become a bundle that runs, with its weights in half precision and where it is from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from graph_rules import check_bundle
from movenet_oracle import shipped
from tfjs_files import write_movenet

from export.__main__ import main
from export.stored import load_full, store_half
from sdtc_ros.models.bundle import load_bundle
from sdtc_ros.pipeline.pipeline import Pipeline
from sdtc_ros.types import Boxes, Frame
from training.models.movenet import MoveNet, MoveNetConfig
from training.weights.movenet import read_movenet

pytestmark = pytest.mark.slow
WIDTH, HEIGHT = 192, 256  # of the crops


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """The shipped Lightning, written as it was published: random layers give maps that parity cannot be judged by."""
    return write_movenet(tmp_path_factory.mktemp("weights"), shipped("lightning"))


@pytest.fixture(scope="module")
def bundle(weights: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bundle")
    words = ["--name", "tiny", "--precisions", "--half-weights", "--skeleton", "posetrack"]
    assert main([str(weights), "--out", str(out), "--input-size", f"{WIDTH}x{HEIGHT}", *words]) == 0
    return out


def test_the_bundle_says_where_it_is_from(bundle: Path, weights: Path) -> None:
    loaded = load_bundle(bundle)
    assert (loaded.name, loaded.delta, loaded.input_size) == ("tiny", 0, (WIDTH, HEIGHT))
    assert loaded.skeleton.name == "posetrack"
    published = loaded.training["published"]
    assert (published["weights"], published["licence"]) == ("MoveNet Lightning, a test", "Apache-2.0")
    assert published["sha256"].keys() == {weights.name, weights.with_suffix(".bin").name}
    assert "batches of 192 x 256 pixels" in published["changed"][0] and "linear map" in published["changed"][-1]
    size = sum((bundle / name).stat().st_size for name in loaded.files)
    assert size < 1.1 * weights.with_suffix(".bin").stat().st_size


def test_graphs_parse_in_tensorrt_and_have_a_typed_fp16_form(bundle: Path, tmp_path: Path) -> None:
    """In FP16 the four heads' last layers and all decoding stay in FP32."""
    for name in ("encoder.onnx", "temporal.onnx"):
        onnx.save_model(load_full(bundle / name), str(tmp_path / name))
    check_bundle(tmp_path / "encoder.onnx", tmp_path / "temporal.onnx", {"Conv": 4})


def test_the_graphs_give_the_network_s_features(bundle: Path, weights: Path) -> None:
    network = MoveNet(MoveNetConfig())
    network.load_state_dict(read_movenet(weights).state)
    crops = np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = network.features(torch.from_numpy(crops[..., ::-1].copy())).stride4.numpy()
    (tokens,) = onnxruntime.InferenceSession(bundle / "encoder.onnx").run(["tokens"], {"crops": crops})
    np.testing.assert_allclose(tokens, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_the_pipeline_runs_it(bundle: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    boxes = np.array([[40, 30, 60, 120], [180, 60, 90, 150]], np.float32)
    result = Pipeline.from_bundle(bundle).process(Frame(image, 0), Boxes(boxes, np.ones(2, np.float32)))
    assert result is not None and len(result.poses) == 2
    for pose in result.poses:
        assert pose.keypoints.shape == (15, 3)
        assert np.isfinite(pose.keypoints).all()


def test_choices_of_another_file_are_refused(tmp_path: Path, weights: Path, capsys) -> None:
    other = tmp_path / "a.ckpt"
    other.write_bytes(b"x")
    for words, status, says in (
        ([str(other), "--skeleton", "coco"], 2, "only MoveNet's files allow a choice"),
        ([str(weights), "--input-size", "200x256"], 2, "multiples of 32, got 200 x 256"),
        ([str(tmp_path / "absent.json")], 4, "absent.json cannot be read: No such file or directory"),
    ):
        assert main([*words, "--out", str(tmp_path / "out")]) == status
        error = capsys.readouterr().err
        assert says in error and error.count("\n") == 1
        assert not (tmp_path / "out").exists()


def test_storing_and_loading_are_inverse(tmp_path: Path) -> None:
    """Weights that half precision says exactly come back as they were; others are left alone, or rounded if asked."""
    values = {
        "half": np.arange(1200, dtype=np.float16).astype(np.float32).reshape(8, 150),
        "third": np.full(1200, 1 / 3, np.float32),
        "small": np.full(1000, 0.1, np.float32),
        "huge": np.full(1200, 1e6, np.float32),
        "whole": np.arange(1200),
    }
    weights = [onnx.numpy_helper.from_array(value, name) for name, value in values.items()]
    node = onnx.helper.make_node("MatMul", ["x", "half"], ["y"])
    ends = [onnx.helper.make_tensor_value_info(name, 1, [None, size]) for name, size in (("x", 8), ("y", 150))]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", ends[:1], ends[1:], weights))
    path = tmp_path / "g.onnx"
    onnx.save_model(model, str(path))
    before = path.stat().st_size
    store_half(path, rounded=False)
    onnx.checker.check_model(str(path), full_check=True)
    assert path.stat().st_size < before - 2200
    restored = load_full(path)
    assert [node.op_type for node in restored.graph.node] == ["MatMul"]
    for weight in restored.graph.initializer:
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(weight), values[weight.name])
    store_half(path, rounded=True)
    third = next(weight for weight in load_full(path).graph.initializer if weight.name == "third")
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(third), np.float32(np.float16(1 / 3)))
