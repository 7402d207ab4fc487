# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""ONNX Runtime with I/O binding behind a device engine: its CUDA and TensorRT providers, or the CPU's for tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.engine.base import MAX_BATCH, largest_batch
from sdtc_ros.engine.cache import Cache
from sdtc_ros.engine.device import CUT, ENCODER, TEMPORAL, DeviceEngine, View
from sdtc_ros.engine.failures import translated
from sdtc_ros.engine.graphs import check_graphs, cut_graph, identity_graph, need_onnx, pooled_graph
from sdtc_ros.engine.ort.session import open_session, provider_of, warm_up
from sdtc_ros.engine.ort.tensorrt import tensorrt_options
from sdtc_ros.models.bundle import Bundle

Array = npt.NDArray[Any]
Graph = Path | bytes
CUDA_OPTIONS = {
    "use_tf32": "0",  # since 1.18; FP32 is FP32, as with tensorrt-direct (docs/gpu.md: how little TF32 would move)
    "cudnn_conv_algo_search": "HEURISTIC",  # the default tries all algorithms at each new number of people: a stall
}
TYPES = {"float": np.float32, "float16": np.float16, "uint8": np.uint8, "int64": np.int64}  # ONNX's words for them


def open_onnx_device(
    bundle: Bundle, provider: str, precision: str, cache: Cache, max_batch: int = MAX_BATCH
) -> DeviceEngine:
    """A warm engine of the bundle's graphs on provider cuda or tensorrt.

    Raises UsageError where the provider is not available, BundleError where the graphs cannot be used.
    """
    encoder, temporal = bundle.graphs(precision)
    told = {"cuda": CUDA_OPTIONS}
    largest = largest_batch(bundle.tokens, bundle.delta, max_batch)

    def open_graph(name: str, graph: Graph) -> Any:
        title = f"{bundle.folder}: {name}"
        if provider != "tensorrt" or name not in (ENCODER, TEMPORAL):  # pixels are copied as fast without TensorRT
            return open_session(graph, "cuda", name=title, provider_options=told)
        with tensorrt_options(bundle, name, graph, precision, largest, cache) as options:
            return open_session(graph, provider, name=title, provider_options={**told, provider: options})

    sessions = {ENCODER: open_graph(ENCODER, encoder)}  # first: where the provider is not available, it says so
    need_onnx(provider)
    check_graphs(bundle, precision)
    sessions[TEMPORAL] = open_graph(TEMPORAL, pooled_graph(temporal, bundle.tokens))
    sessions[CUT] = open_graph(CUT, cut_graph(bundle.input_size))
    engine = DeviceEngine(bundle, OnnxRuntime(sessions, open_graph, "cuda"), largest, precision)
    warm_up(engine, bundle)
    return engine


class OnnxRuntime:
    """See device.Runtime."""

    identity = ""  # its TensorRT provider does not tell what it has built

    def __init__(self, sessions: Mapping[str, Any], open_graph: Callable[[str, Graph], Any], device: str) -> None:
        """sessions: of the graphs, by name; open_graph: gives one more; device: 'cuda' or 'cpu', where tensors lie."""
        self._open, self._device, self._sessions = open_graph, device, dict(sessions)
        self._provider = provider_of(self._sessions[ENCODER])
        self.providers = list(self._sessions[ENCODER].get_providers())
        self._copies: dict[str, Any] = {}

    def dtype(self, graph: str, name: str) -> np.dtype[Any]:
        """See Runtime.dtype."""
        session = self._sessions[graph]
        types = {node.name: node.type for node in (*session.get_inputs(), *session.get_outputs())}
        return np.dtype(TYPES[types[name].removeprefix("tensor(").removesuffix(")")])

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> View:
        """See Runtime.allocate."""
        import onnxruntime as ort

        with translated(self._provider):
            memory = ort.OrtValue.ortvalue_from_shape_and_type(list(shape), dtype.type, self._device, 0)
        return View(memory.data_ptr(), shape, dtype, memory)

    def upload(self, array: Array) -> View:
        """See Runtime.upload."""
        import onnxruntime as ort

        own = array.copy() if self._device == "cpu" else array  # there, ONNX Runtime would only hold on to it
        with translated(self._provider):
            memory = ort.OrtValue.ortvalue_from_numpy(own, self._device, 0)
        return View(memory.data_ptr(), array.shape, array.dtype, memory)

    def copy(self, source: View, target: View) -> None:
        """See Runtime.copy; ONNX Runtime has no call for it, so a graph that does nothing else does it."""
        element = next(name for name, kind in TYPES.items() if source.dtype == kind)
        if element not in self._copies:
            self._copies[element] = self._open("copy", identity_graph(element))
        flat = (math.prod(source.shape),)
        binding = self._copies[element].io_binding()
        binding.bind_input("source", self._device, 0, source.dtype.type, flat, source.pointer)
        binding.bind_output("target", self._device, 0, source.dtype.type, flat, target.pointer)
        with translated(self._provider):
            self._copies[element].run_with_iobinding(binding)

    def run(
        self, graph: str, inputs: Mapping[str, View | Array], outputs: Mapping[str, View | None]
    ) -> dict[str, Array]:
        """See Runtime.run."""
        with translated(self._provider):
            return self._run(self._sessions[graph], inputs, outputs)

    def _run(
        self, session: Any, inputs: Mapping[str, View | Array], outputs: Mapping[str, View | None]
    ) -> dict[str, Array]:
        binding = session.io_binding()
        for name, value in inputs.items():
            if isinstance(value, View):
                binding.bind_input(name, self._device, 0, value.dtype.type, value.shape, value.pointer)
            else:
                binding.bind_cpu_input(name, np.ascontiguousarray(value))
        for name, view in outputs.items():
            if view is None:
                binding.bind_output(name, "cpu")
            else:
                binding.bind_output(name, self._device, 0, view.dtype.type, view.shape, view.pointer)
        session.run_with_iobinding(binding)
        values = dict(zip(outputs, binding.get_outputs(), strict=True))
        return {name: values[name].numpy() for name, view in outputs.items() if view is None}
