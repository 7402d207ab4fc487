# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""TensorRT through pycuda behind a device engine: fixed batches, a captured CUDA graph for each, page-locked memory.

Encoder and temporal graph have one optimisation profile for each batch 1, 2, 4 ... max_batch, of exactly that size:
TensorRT then chooses its kernels for that size, and a CUDA graph, which knows only fixed shapes and addresses, can be
captured. A batch between two is padded to the next. Each batch has an execution context of its own (a context has one
profile, and a captured graph is bound to its context), made when it is first wanted; all share one scratch memory, as
they run one after the other on one stream. `cut` sees frames of any size: one profile with ranges, nothing captured.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.engine.base import MAX_BATCH, OUTPUTS, batches_up_to, largest_batch
from sdtc_ros.engine.cache import Cache, Key, Report
from sdtc_ros.engine.device import CUT, ENCODER, TEMPORAL, DeviceEngine, View
from sdtc_ros.engine.graphs import check_graphs, cut_graph, need_onnx, plain_graph, pooled_graph
from sdtc_ros.engine.ort.session import warm_up
from sdtc_ros.engine.trt.build import (
    BUILDER,
    WORKSPACE,
    Graph,
    Profile,
    any_batch,
    build_engine,
    make,
    make_logger,
    most_slots,
    one_batch,
    tensorrt_version,
)
from sdtc_ros.engine.trt.cuda import Allocator, CudaStream, open_gpu, page_locked
from sdtc_ros.engine.trt.graph import EngineGraph, Station
from sdtc_ros.errors import UsageError
from sdtc_ros.models.bundle import Bundle

if TYPE_CHECKING:
    import tensorrt as trt

Array = npt.NDArray[Any]
_log = logging.getLogger(__name__)


def open_tensorrt(
    bundle: Bundle, precision: str, report: Report, cache: Cache, max_batch: int = MAX_BATCH
) -> DeviceEngine:
    """A warm engine of the bundle's graphs, which are built where the cache has none that fits; that takes minutes.

    Raises UsageError where TensorRT, pycuda or the GPU cannot be used, BundleError where the graphs cannot.
    """
    encoder, temporal = bundle.graphs(precision)
    tensorrt_version()
    need_onnx("tensorrt-direct")
    check_graphs(bundle, precision)
    graphs = [
        Graph(CUT, cut_graph(bundle.input_size), ["crops"]),
        Graph(ENCODER, plain_graph(encoder), list(bundle.tokens), encoder),
        Graph(TEMPORAL, pooled_graph(temporal, bundle.tokens), OUTPUTS),
    ]
    words = {"bundle": bundle.hash_of(precision), "precision": precision}
    largest = largest_batch(bundle.tokens, bundle.delta, max_batch)
    slots = most_slots(bundle.tokens)
    runtime = TensorRTRuntime(graphs, words, max_batch=largest, slots=slots, report=report, cache=cache)
    engine = DeviceEngine(bundle, runtime, largest, precision)
    warm_up(engine, bundle)
    return engine


class TensorRTRuntime:
    """See device.Runtime. May be used from any thread, from one at a time."""

    def __init__(
        self,
        graphs: Sequence[Graph],
        words: Mapping[str, str],
        *,
        max_batch: int,
        slots: int,
        report: Report,
        cache: Cache,
    ) -> None:
        """Load the graphs' engines from the cache or build them.

        words: what the graphs are made from, for the cache's keys; slots: the most that a pool of tokens may have.
        """
        version = tensorrt_version()
        self._gpu, self._graphs = open_gpu(), dict[str, EngineGraph]()
        self._report, self._cache, self._batches = report, cache, batches_up_to(max_batch)
        self._slots = slots
        gpu = self._gpu.gpu
        self._words = {
            **words, "gpu": gpu.name, "compute capability": gpu.capability, "tensorrt": version,
            "cuda": gpu.driver.split(".")[0], "builder": str(BUILDER),
        }  # fmt: skip
        self.providers = ["tensorrt-direct", f"TensorRT {version}", gpu.name]
        self._logger, self._hashes = make_logger(), dict[str, str]()
        self._pixels = np.empty(0, np.uint8)
        try:
            with self._gpu.current():
                self._open(graphs)
        except BaseException:
            self.close()
            raise

    @property
    def identity(self) -> str:
        """SHA-256 of its engines: the same graphs built again may be other kernels."""
        told = [f"{name} {self._hashes[name]}" for name in sorted(self._hashes)]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    def dtype(self, graph: str, name: str) -> np.dtype[Any]:
        """See Runtime.dtype."""
        return self._graphs[graph].dtypes[name]

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> View:
        """See Runtime.allocate."""
        with self._gpu.current():
            block = self._memory.block(math.prod(shape) * dtype.itemsize)
        return View(block.pointer, shape, dtype, block)

    def upload(self, array: Array) -> View:
        """See Runtime.upload."""
        view = self.allocate(array.shape, array.dtype)
        with self._gpu.current():
            if len(self._pixels) < array.nbytes:
                self._pixels = page_locked(array.nbytes)
            host = self._pixels[: array.nbytes]
            host.view(array.dtype).reshape(array.shape)[...] = array
            self._stream.upload(host, view.pointer)
            self._stream.wait()
        return view

    def copy(self, source: View, target: View) -> None:
        """See Runtime.copy."""
        with self._gpu.current():
            self._stream.copy(source.pointer, target.pointer, math.prod(source.shape) * source.dtype.itemsize)
            self._stream.wait()

    def run(
        self, graph: str, inputs: Mapping[str, View | Array], outputs: Mapping[str, View | None]
    ) -> dict[str, Array]:
        """See Runtime.run."""
        with self._gpu.current():
            return self._graphs[graph].run(inputs, outputs)

    def close(self) -> None:
        """Free all that is not a view's; nothing may be run afterwards."""
        with self._gpu.current():
            for graph in self._graphs.values():
                graph.close()
            self._graphs.clear()
            for name in ("_station", "_pixels", "_stream", "_memory"):
                self.__dict__.pop(name, None)

    def __del__(self) -> None:
        try:
            self.close()
        except Exception as error:  # the process ends, or the GPU is lost: either way the memory is gone
            _log.debug("could not close the engine: %s", error)

    def _open(self, graphs: Sequence[Graph]) -> None:
        self._memory, self._stream = Allocator(self._gpu), CudaStream()
        engines = {graph.name: self._load(graph) for graph in graphs}
        scratch = self._memory.block(max(_scratch(engine) for engine in engines.values()))
        self._station = Station(self._gpu, self._stream, self._memory, scratch, self._logger)
        for name, engine in engines.items():
            self._graphs[name] = EngineGraph(name, engine, self._batches if name != CUT else [], self._station)

    def _load(self, graph: Graph) -> trt.ICudaEngine:
        """The graph's engine from the cache; built, and built again where TensorRT refuses what was kept."""
        import tensorrt as trt

        key = Key(f"{graph.name}.{self._words['precision']}", {
            **self._words, "graph": hashlib.sha256(graph.content).hexdigest(), "batches": str(self._batches),
        })  # fmt: skip
        loader: trt.Runtime = make(trt.Runtime, self._logger)
        for attempt in (1, 2):
            content = self._cache.obtain(key, lambda: self._build(graph))
            engine: trt.ICudaEngine | None = loader.deserialize_cuda_engine(content)
            if engine is not None:
                self._hashes[graph.name] = hashlib.sha256(content).hexdigest()
                return engine
            reason = self._logger.errors[-1] if self._logger.errors else "it gives no reason"
            if (told := self._gpu.explain(reason)) != reason:
                raise UsageError(told)  # the engine is good
            self._cache.discard(key)
            if attempt == 1:
                self._report(f"TensorRT refuses the cached engine of '{graph.name}' ({reason}); rebuilding it")
        raise UsageError(f"TensorRT refuses the engine it has just built for '{graph.name}': {reason}")

    def _build(self, graph: Graph) -> bytes:
        gpu = self._gpu.gpu
        timing = Key("timing", {name: self._words[name] for name in ("gpu", "compute capability", "tensorrt", "cuda")})
        free, _ = self._gpu.memory()
        self._report(f"building the TensorRT engine of '{graph.name}' for {gpu.name}: this takes minutes, once")
        try:
            engine, measured = build_engine(
                graph, self._profiles(graph), memory=min(free // 2, WORKSPACE),
                timing=self._cache.read(timing) or b"", report=self._report,
            )  # fmt: skip
        except UsageError as error:
            raise UsageError(self._gpu.explain(str(error))) from None
        self._cache.write(timing, measured)
        return engine

    def _profiles(self, graph: Graph) -> list[Profile]:
        """One for each batch; for `cut`, whose batches and frames vary freely, one for all."""
        if graph.name == CUT:
            return [any_batch(self._batches[-1], self._slots)]
        return [one_batch(batch, self._slots) for batch in self._batches]


def _scratch(engine: trt.ICudaEngine) -> int:
    """Bytes that a context of the engine needs while it runs, at its largest profile."""
    return int(engine.device_memory_size_v2)
