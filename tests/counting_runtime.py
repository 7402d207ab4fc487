# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A device engine's runtime on the CPU that counts what it uploads and runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

from sdtc_ros.engine.graphs import cut_graph, pooled_graph
from sdtc_ros.engine.ort.device import OnnxRuntime
from sdtc_ros.models.bundle import Bundle


def session(name: str, graph: Path | bytes) -> Any:
    """A graph on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    source = graph if isinstance(graph, bytes) else str(graph)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


class CountingRuntime(OnnxRuntime):
    """Notes what was uploaded and run."""

    def __init__(self, bundle: Bundle) -> None:
        graphs: dict[str, Path | bytes] = {
            "cut": cut_graph(bundle.input_size), "encoder": bundle.encoder,
            "temporal": pooled_graph(bundle.temporal, bundle.tokens),
        }  # fmt: skip
        super().__init__({name: session(name, graph) for name, graph in graphs.items()}, session, "cpu")
        self.uploads: list[tuple[int, ...]] = []
        self.runs: list[tuple[str, int]] = []

    def upload(self, array: Any) -> Any:
        self.uploads.append(array.shape)
        return super().upload(array)

    def run(self, graph: str, inputs: Any, outputs: Any) -> Any:
        rows = {"cut": "x_32", "encoder": "crops", "temporal": "index"}[graph]
        self.runs.append((graph, inputs[rows].shape[0]))
        return super().run(graph, inputs, outputs)
