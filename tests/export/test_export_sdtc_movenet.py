# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""sdtc-lite as it was exported: its temporal graph takes moves, and TensorRT gets plain weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_rules import check_bundle

from export.stored import load_full
from sdtc_ros.engine.base import MOVES, no_moves
from sdtc_ros.engine.graphs import check_graphs, plain_graph, pooled_graph
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.models.bundle import Bundle, default_bundle, load_bundle, read_manifest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(default_bundle())


def test_its_manifest_says_that_it_takes_moves(bundle: Bundle) -> None:
    assert bundle.moves and read_manifest(bundle.folder)["format"] == 2
    check_graphs(bundle, "fp32")


def test_moves_reach_joints_and_tokens(bundle: Bundle) -> None:
    """Of a still person: the same crop five times answers otherwise where the neighbours are said to lie elsewhere."""
    width, height = bundle.input_size
    engine = OnnxEngine(bundle, threads=1)
    (handle,) = engine.encode(np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8))
    moved = no_moves(1, 5)
    moved[0, [0, 1, 3, 4], 2] = 30
    still = engine.heatmaps([[handle] * 5])
    np.testing.assert_array_equal(engine.heatmaps([[handle] * 5], no_moves(1, 5)), still)
    assert np.abs(engine.heatmaps([[handle] * 5], moved) - still).max() > 1e-3


def test_tensorrt_gets_kernels_that_are_initializers(bundle: Bundle, tmp_path: Path) -> None:
    """Stored in half precision they are behind a Cast; in the file that it parses they are not."""
    assert any(node.input[0].endswith("_stored") for node in onnx.load(bundle.encoder).graph.node if node.input)
    (tmp_path / "encoder.onnx").write_bytes(plain_graph(bundle.encoder))
    onnx.save_model(load_full(bundle.temporal), str(tmp_path / "temporal.onnx"))
    check_bundle(tmp_path / "encoder.onnx", tmp_path / "temporal.onnx", {"Conv": 1, "MatMul": 6}, {"Conv": 5})
    pooled = onnx.load_model_from_string(pooled_graph(bundle.temporal, bundle.tokens))
    assert {value.name for value in pooled.graph.input} == {*(f"pool_{name}" for name in bundle.tokens), "index", MOVES}
