# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""One TensorRT engine at work: a context for each batch, what is bound to it, and its captured CUDA graph."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.engine.device import View
from sdtc_ros.engine.failures import GraphError, is_full, is_lost
from sdtc_ros.engine.trt.cuda import Allocator, Block, Captured, CudaError, CudaStream, GpuContext, page_locked
from sdtc_ros.errors import UsageError

if TYPE_CHECKING:
    import tensorrt as trt

Array = npt.NDArray[Any]
ALIGNED = 256  # bytes: what TensorRT asks of every tensor's address
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Station:
    """What all graphs of a runtime share: the GPU, one stream, memory, one scratch block, TensorRT's logger."""

    gpu: GpuContext
    stream: CudaStream
    memory: Allocator
    scratch: Block
    logger: Any


class EngineGraph:
    """An engine with its contexts; every call needs the GPU's context."""

    def __init__(self, name: str, engine: trt.ICudaEngine, batches: Sequence[int], station: Station) -> None:
        """batches: those of the engine's profiles, ascending; none where its one profile takes any."""
        import tensorrt as trt

        self.name, self.station, self._batches = name, station, list(batches)
        self.engine: trt.ICudaEngine = engine
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        self.inputs = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        self.outputs = [name for name in names if name not in self.inputs]
        self.dtypes = {name: np.dtype(trt.nptype(engine.get_tensor_dtype(name))) for name in names}
        if any(engine.get_tensor_location(name) != trt.TensorLocation.DEVICE for name in names):
            raise UsageError(f"TensorRT {trt.__version__} needs '{self.name}' in host memory; use provider 'cuda'")
        self.padded = {name for name in names if self._follows_batch(name)} if batches else set()
        self.capture = bool(batches)
        self._bound: dict[int, Bound] = {}

    def run(self, inputs: Mapping[str, View | Array], outputs: Mapping[str, View | None]) -> dict[str, Array]:
        """See Runtime.run."""
        rows = next((value.shape[0] for name, value in inputs.items() if name in self.padded), 0)
        bound = self._for(rows)
        for name, value in inputs.items():
            bound.put(name, value)
        for name in self.outputs:  # every one needs a place, wanted or not
            bound.place(name, outputs.get(name))
        bound.launch()
        return bound.take(outputs, rows)

    def close(self) -> None:
        """Free the contexts, their memory and the engine."""
        for bound in self._bound.values():
            bound.forget()
        self._bound.clear()
        del self.engine

    def _follows_batch(self, name: str) -> bool:
        """Whether the first dimension is the batch: dynamic in the graph, fixed in each profile (or an output's)."""
        if self.engine.get_tensor_shape(name)[0] != -1:
            return False
        if name not in self.inputs:
            return True
        least, _, most = self.engine.get_tensor_profile_shape(name, 0)
        return bool(least[0] == most[0])

    def _for(self, rows: int) -> Bound:
        """What is bound for the smallest batch that holds so many rows, made when first asked for."""
        if not self._batches:
            profile, batch = 0, 0
        elif rows <= self._batches[-1]:
            profile = next(i for i, size in enumerate(self._batches) if rows <= size)
            batch = self._batches[profile]
        else:
            raise UsageError(f"'{self.name}' was built for batches up to {self._batches[-1]}, not {rows}")
        if profile not in self._bound:
            self._bound[profile] = Bound(self, profile, batch)
        return self._bound[profile]


class Bound:
    """A context, with its tensors' addresses and shapes; launched as a captured graph while these stay."""

    def __init__(self, graph: EngineGraph, profile: int, batch: int) -> None:
        import tensorrt as trt

        self._graph, self._batch, self._station = graph, batch, graph.station
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED  # all contexts share one scratch block
        engine: trt.ICudaEngine = graph.engine
        self._context: trt.IExecutionContext = engine.create_execution_context(strategy)
        if self._context is None:
            raise self._refused("make a context")
        self._context.set_device_memory(self._station.scratch.pointer, self._station.scratch.size)
        if not self._context.set_optimization_profile_async(profile, self._station.stream.handle):
            raise self._refused(f"choose profile {profile}")
        self._addresses: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._staged: dict[str, Block] = {}
        self._host: dict[str, npt.NDArray[np.uint8]] = {}
        self._captured: Captured | None = None
        self._ran = False

    def put(self, name: str, value: View | Array) -> None:
        """Bind an input: a view where it lies, if no row is to be added to it, else a copy in fixed memory."""
        graph, stream = self._graph, self._station.stream
        padded = name in graph.padded
        shape = (self._batch, *value.shape[1:]) if padded else tuple(value.shape)
        direct = isinstance(value, View) and not padded and value.pointer % ALIGNED == 0
        size = math.prod(value.shape) * graph.dtypes[name].itemsize
        if isinstance(value, View):
            pointer = value.pointer if direct else self._stage(name, shape)
            if not direct:
                stream.copy(value.pointer, pointer, size)
        else:
            pointer = self._stage(name, shape)
            host = self._page_locked(name, size)
            host.view(graph.dtypes[name]).reshape(value.shape)[...] = value
            stream.upload(host, pointer)
        self._bind(name, pointer, shape)

    def place(self, name: str, view: View | None) -> None:
        """Bind an output, when all inputs are bound: to the view, if it holds all rows, else to fixed memory."""
        shape = tuple(self._context.get_tensor_shape(name))
        direct = view is not None and name not in self._graph.padded and view.pointer % ALIGNED == 0
        pointer = view.pointer if direct and view is not None else self._stage(name, shape)
        self._bind(name, pointer, shape)

    def launch(self) -> None:
        """Run; the second time that nothing has changed it is captured, as TensorRT asks for one plain run before."""
        if self._captured is None and self._ran and self._graph.capture:
            self._capture()
        if self._captured is not None:
            self._captured.launch()
        elif not self._execute():
            raise self._refused("run")
        self._ran = True

    def take(self, outputs: Mapping[str, View | None], rows: int) -> dict[str, Array]:
        """Wait, and bring the outputs to where they are wanted: into their views, or into host arrays."""
        found: dict[str, Array] = {}
        stream = self._station.stream
        for name, view in outputs.items():
            pointer, shape = self._addresses[name]
            shape = (rows, *shape[1:]) if name in self._graph.padded else shape
            dtype = self._graph.dtypes[name]
            size = math.prod(shape) * dtype.itemsize
            if view is None:
                found[name] = self._page_locked(name, size).view(dtype).reshape(shape)
                stream.download(pointer, found[name])
            elif view.pointer != pointer:
                stream.copy(pointer, view.pointer, size)
        stream.wait()
        return {name: array.copy() for name, array in found.items()}

    def forget(self) -> None:
        """Free what was captured."""
        if self._captured is not None:
            self._captured.destroy()
        self._captured = None

    def _bind(self, name: str, pointer: int, shape: tuple[int, ...]) -> None:
        if self._addresses.get(name) == (pointer, shape):
            return
        self.forget()
        self._ran = False
        if name in self._graph.inputs and not self._context.set_input_shape(name, shape):
            raise self._refused(f"take '{name}' of shape {list(shape)}")
        if not self._context.set_tensor_address(name, pointer):
            raise self._refused(f"bind '{name}'")
        self._addresses[name] = (pointer, shape)

    def _execute(self) -> bool:
        return bool(self._context.execute_async_v3(self._station.stream.handle))

    def _capture(self) -> None:
        try:
            self._captured = Captured(self._station.stream.handle, self._execute)
        except CudaError as error:
            self._graph.capture = False
            _log.warning("'%s' runs without a CUDA graph (slightly slower): capture failed (%s)",
                         self._graph.name, error)  # fmt: skip

    def _stage(self, name: str, shape: tuple[int, ...]) -> int:
        """The address of fixed memory for a tensor of that shape; rows that nobody fills are 0 or of an earlier run."""
        size = math.prod(shape) * self._graph.dtypes[name].itemsize
        block = self._staged.get(name)
        if block is None or block.size < size:
            block = self._staged[name] = self._station.memory.block(size)
            self._station.stream.clear(block.pointer, block.size)  # a slot's number, say, must be one at all times
        return block.pointer

    def _page_locked(self, name: str, size: int) -> npt.NDArray[np.uint8]:
        if name not in self._host or len(self._host[name]) < size:
            self._host[name] = page_locked(size)
        return self._host[name][:size]

    def _refused(self, what: str) -> UsageError:
        errors = self._station.logger.errors
        reason = f": {self._station.gpu.explain(errors[-1])}" if errors else ""
        kind = UsageError if errors and (is_full(errors[-1]) or is_lost(errors[-1])) else GraphError
        return kind(f"TensorRT could not {what} in '{self._graph.name}'{reason}")
