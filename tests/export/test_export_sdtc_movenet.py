# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""SDTC on MoveNet's trunk, exported: its temporal graph takes moves, in all precisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from graph_rules import check_bundle

from export.bundle import export_bundle
from export.half import element_types
from export.parity import Parity, measure, sample_windows
from export.precisions import add_precisions
from export.stored import load_full
from sdtc_ros.engine.base import MOVES, STAYS
from sdtc_ros.engine.graphs import check_graphs, plain_graph, pooled_graph
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.models.bundle import Bundle, load_bundle, read_manifest
from training.checkpoint import KEY, describe, load_network
from training.models.movenet import MoveNetConfig
from training.models.sdtc_movenet import SDTCMoveNet
from training.models.sdtc_movenet_config import SDTCMoveNetConfig

pytestmark = pytest.mark.slow
SMALL = SDTCMoveNetConfig(
    backbone=MoveNetConfig(width=0.25, image_size=(128, 64), adapters=8), channels=16, head_width=8, trajectory=16,
    confidence=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Of random weights, half of them as half precision says them; their maps decide too little for parity's check."""
    torch.manual_seed(0)
    network = SDTCMoveNet(SMALL)
    with torch.no_grad():
        assert network.semantics is not None
        network.semantics.head.final.weight.normal_(0, 0.5)
        for weight in network.backbone.parameters():
            weight.copy_(weight.half().float())
    folder = tmp_path_factory.mktemp("sdtc-movenet")
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({KEY: describe(network), "state_dict": weights}, folder / "small.ckpt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Parity, "check", lambda self, steepness: None)
        export_bundle(folder / "small.ckpt", folder / "out", "small")
    return load_bundle(folder / "out")


def test_its_manifest_says_that_it_takes_moves(bundle: Bundle) -> None:
    assert bundle.moves and read_manifest(bundle.folder)["format"] == 2
    check_graphs(bundle, "fp32")


def test_the_graphs_answer_as_torch_does_also_where_crops_move(bundle: Bundle) -> None:
    from export.graphs import EncoderGraph, TemporalGraph

    network = load_network(bundle.folder.parent / "small.ckpt").eval()
    windows = sample_windows(network, 6)
    parity = measure(EncoderGraph(network), TemporalGraph(network), bundle.folder, windows, moves=True)
    assert parity.keypoints_px < 0.05 and parity.undecided < 0.5 * parity.joints
    engine = OnnxEngine(bundle, threads=1)
    handles = engine.encode(windows[0])
    moved = np.tile(STAYS, (1, 5, 1))
    moved[0, [0, 1, 3, 4], 2] = 9
    assert np.abs(engine.estimate([handles], moved)[0] - engine.estimate([handles])[0]).max() > 1e-3


def test_tensorrt_gets_kernels_that_are_initializers(bundle: Bundle, tmp_path: Path) -> None:
    """Stored in half precision they are behind a Cast; in the file that it parses they are not."""
    assert any(node.input[0].endswith("_stored") for node in onnx.load(bundle.encoder).graph.node if node.input)
    (tmp_path / "encoder.onnx").write_bytes(plain_graph(bundle.encoder))
    onnx.save_model(load_full(bundle.temporal), str(tmp_path / "temporal.onnx"))
    check_bundle(tmp_path / "encoder.onnx", tmp_path / "temporal.onnx", {"Conv": 1, "MatMul": 5})
    pooled = onnx.load_model_from_string(pooled_graph(bundle.temporal, bundle.tokens))
    assert {value.name for value in pooled.graph.input} == {*(f"pool_{name}" for name in bundle.tokens), "index", MOVES}


def test_int8_takes_moves_too(bundle: Bundle) -> None:
    (made,) = add_precisions(bundle.folder, ["int8"], windows=2)[1]
    assert made.deviation is not None and made.deviation.joints + made.deviation.undecided > 0
    assert element_types(load_full(bundle.temporal))[MOVES] == onnx.TensorProto.FLOAT
