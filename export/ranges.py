# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How large values become in a bundle's graphs on synthetic people, and so which of them FP16 cannot hold.

SMML's second softmax (equation 8) takes products that nothing scales: in a trained network they pass 60 000, where
FP16 knows steps of 32 only and ends at 65 504.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, TensorProto, helper

from export.stored import load_full
from export.zones import WEIGHTED
from sdtc_ros.crops import crop_images
from sdtc_ros.engine.accuracy_check import clips, sample_moves
from sdtc_ros.engine.base import MOVES
from sdtc_ros.engine.ort.session import open_session
from sdtc_ros.models.bundle import Bundle
from sdtc_ros.models.bundle_files import DATA

LARGE = 4096.0  # a sixteenth of what FP16 can say: photographs are not synthetic people
LARGE_LOGIT = 128.0  # beyond it FP16 is off by 1/16 and more, and a softmax's shares by 6 %
WINDOWS = 6
WATCHED = WEIGHTED | {"Mul", "Add", "Sub", "Div"}
PASSING = {"Reshape", "Transpose", "Mul", "Div", "Add", "Sub", "Squeeze", "Unsqueeze", "Slice"}
_PEAK = "peak of "


def hot_values(bundle: Bundle) -> tuple[set[str], set[str]]:
    """Names of the values of the encoder and of the temporal graph (FP32) that are too large for FP16."""
    graphs = [load_full(path) for path in bundle.graphs()]
    peaks: list[dict[str, float]] = [defaultdict(float), defaultdict(float)]
    with tempfile.TemporaryDirectory() as scratch:
        paths = [Path(scratch) / name for name in ("encoder.onnx", "temporal.onnx")]
        for graph, path, source in zip(graphs, paths, bundle.graphs(), strict=True):
            save_graph(_watched(graph), path, beside=lies_beside(source))
        encoder, temporal = (open_session(path) for path in paths)
        names = list(bundle.tokens)
        for frames, boxes in clips(bundle.input_size, bundle.delta, WINDOWS):
            crops = np.stack([crop_images(frame, boxes, bundle.input_size) for frame in frames], axis=1)
            first = _run(encoder, {"crops": crops.reshape(-1, *crops.shape[2:])})
            tokens = {name: first[name].reshape(*crops.shape[:2], *first[name].shape[1:]) for name in names}
            if bundle.moves:
                tokens[MOVES] = sample_moves(len(crops), crops.shape[1], bundle.input_size)
            for found, outputs in zip(peaks, (first, _run(temporal, tokens)), strict=True):
                for name, value in outputs.items():
                    if name.startswith(_PEAK):
                        found[name[len(_PEAK) :]] = max(found[name[len(_PEAK) :]], float(value))
    hot_encoder, hot_temporal = (_hot(graph.graph, found) for graph, found in zip(graphs, peaks, strict=True))
    return hot_encoder, hot_temporal


def save_graph(model: ModelProto, path: Path, *, beside: bool) -> None:
    """Write a graph; beside: its weights into a file beside it."""
    if beside:
        onnx.save_model(model, str(path), save_as_external_data=True, location=path.name + DATA)
    else:
        onnx.save_model(model, str(path))


def lies_beside(graph: Path) -> bool:
    """Whether a graph's weights lie in a file beside it."""
    return graph.with_name(graph.name + DATA).exists()


def _hot(graph: GraphProto, peaks: dict[str, float]) -> set[str]:
    logits = _logits(graph)
    return {name for name, peak in peaks.items() if not peak <= (LARGE_LOGIT if name in logits else LARGE)}


def _logits(graph: GraphProto) -> set[str]:
    """Values that reach a softmax with nothing but moves and elementwise arithmetic between."""
    found = {node.input[0] for node in graph.node if node.op_type == "Softmax"}
    for node in reversed(graph.node):
        if found.intersection(node.output) and node.op_type in PASSING:
            found.update(node.input)
    return found


def _watched(model: ModelProto) -> ModelProto:
    """The graph with the largest absolute value of each watched value as an output more."""
    from export.half import element_types

    types = element_types(model)
    watched = ModelProto()
    watched.CopyFrom(model)
    graph = watched.graph
    for node in model.graph.node:
        name = node.output[0]
        if node.op_type in WATCHED and types[name] == TensorProto.FLOAT:
            graph.node.append(helper.make_node("Abs", [name], [f"size of {name}"]))
            graph.node.append(helper.make_node("ReduceMax", [f"size of {name}"], [_PEAK + name], keepdims=0))
            graph.output.append(helper.make_tensor_value_info(_PEAK + name, TensorProto.FLOAT, []))
    return watched


def _run(session: object, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    outputs = [output.name for output in session.get_outputs()]  # type: ignore[attr-defined]
    return dict(zip(outputs, session.run(outputs, feeds), strict=True))  # type: ignore[attr-defined]
