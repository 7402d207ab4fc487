# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""TensorFlow.js graph models: every kind of weight and attribute, and a sentence for each broken file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tfjs_files import half, text, write_graph

from sdtc_ros.errors import BundleError
from training.weights.tfjs import graph_file, read_graph

KERNEL = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4) / 8


def small(folder: Path) -> Path:
    """A graph with one convolution and a weight of every kind."""
    attributes = {
        "strides": {"list": {"i": ["1", "2", "2", "1"]}},
        "padding": {"s": text("SAME")[0]},
        "fused_ops": {"list": {"s": text("BiasAdd", "LeakyRelu")}},
        "leakyrelu_alpha": {"f": 0.1},
        "half_pixel_centers": {"b": True},
        "explicit_paddings": {"list": {}},
        "T": {"type": "DT_FLOAT"},
    }
    nodes = [{"name": "conv", "op": "_FusedConv2D", "input": ["image", "kernel", "half"], "attr": attributes}]
    byte = {"dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0}}
    weights = {
        "kernel": KERNEL,
        "half": half(np.float32([0.1, 2, 3])),
        "byte": (np.uint8([0, 2, 255]), byte),
        "axis": np.int32(3).reshape(()),
        "whole": (
            np.uint16([0, 7]),
            {"dtype": "int32", "quantization": {"dtype": "uint16", "scale": 1.0, "min": -2.0}},
        ),
    }
    return write_graph(folder, "small", nodes, weights)


def test_nodes_and_weights(tmp_path: Path) -> None:
    graph = read_graph(small(tmp_path))
    conv = graph.nodes[-1]
    assert (conv.name, conv.op, conv.inputs) == ("conv", "_FusedConv2D", ("image", "kernel", "half"))
    assert conv.attributes == {
        "strides": [1, 2, 2, 1], "padding": "SAME", "fused_ops": ["BiasAdd", "LeakyRelu"], "leakyrelu_alpha": 0.1,
        "half_pixel_centers": True, "explicit_paddings": [], "T": "DT_FLOAT",
    }  # fmt: skip
    np.testing.assert_array_equal(graph.weights["kernel"], KERNEL)
    np.testing.assert_array_equal(graph.weights["half"], np.float32(np.float16([0.1, 2, 3])))
    np.testing.assert_array_equal(graph.weights["byte"], np.float32([-1, 0, 126.5]))
    np.testing.assert_array_equal(graph.weights["whole"], [-2, 5])
    assert graph.weights["axis"] == 3 and graph.weights["axis"].shape == ()
    assert {name: str(value.dtype) for name, value in graph.weights.items()} == {
        "kernel": "float32", "half": "float32", "byte": "float32", "axis": "int32", "whole": "int32",
    }  # fmt: skip
    assert graph.made_by == "a test"


@pytest.mark.parametrize(("change", "says"), [(-1, "is cut short"), (1, "belongs to another model")])
def test_binary_of_another_length(tmp_path: Path, change: int, says: str) -> None:
    path = small(tmp_path)
    data = path.with_suffix(".bin").read_bytes()
    path.with_suffix(".bin").write_bytes(data[:change] if change < 0 else data + b"x")
    with pytest.raises(BundleError, match=f"small.bin {says}: it has {len(data) + change} bytes"):
        read_graph(path)


def test_binary_missing(tmp_path: Path) -> None:
    path = small(tmp_path)
    path.with_suffix(".bin").unlink()
    with pytest.raises(BundleError, match=r"small.bin, which small.json names, cannot be read: No such file"):
        read_graph(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not valid JSON"),
        ("[]", "must hold a JSON object, not a list"),
        ("{}", "not a TensorFlow.js graph model .no 'modelTopology'"),
        ('{"modelTopology": {"node": [7]}, "weightsManifest": []}', "not a TensorFlow.js graph model"),
        (
            '{"modelTopology": {"node": []}, "weightsManifest": [{"paths": [], "weights": '
            '[{"name": "words", "shape": [1], "dtype": "string"}]}]}',
            "weight words is of type string",
        ),
    ],
)
def test_broken_json(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "small.json"
    path.write_text(content)
    with pytest.raises(BundleError, match=says):
        read_graph(path)


def test_graph_file(tmp_path: Path) -> None:
    """In the folder or its `models`; a sentence for a folder without it and for no folder."""
    path = small(tmp_path / "models")
    assert graph_file(tmp_path, "small") == graph_file(tmp_path / "models", "small") == path
    with pytest.raises(BundleError, match=r"holds no other.json, nor does its folder 'models'"):
        graph_file(tmp_path, "other")
    with pytest.raises(BundleError, match="is not a folder"):
        graph_file(path, "small")
