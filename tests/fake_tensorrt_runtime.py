# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The running half of the stand-in for tensorrt (see fake_tensorrt): runtime, engine and execution context."""

from __future__ import annotations

import pickle
import sys
import types
from typing import Any

import fake_tensorrt as fake
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from fake_cuda import Device
from fake_tensorrt import ExecutionContextAllocationStrategy, ILogger, ITensor, Severity, TensorIOMode, TensorLocation

SCRATCH = 4096


class Runtime:
    """trt.Runtime."""

    def __init__(self, logger: ILogger) -> None:
        assert logger.ready
        self._logger: Any = logger

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        if fake.NEWS.get("load"):
            self._logger.log(Severity.ERROR, fake.NEWS["load"])
            return None
        try:
            told = pickle.loads(serialized_engine)
        except pickle.UnpicklingError:
            self._logger.log(Severity.ERROR, "Magic tag does not match.")
            return None
        if told["version"] != fake.VERSION[0]:
            self._logger.log(Severity.ERROR, f"built by {told['version']}")
            return None
        return ICudaEngine(told, self._logger)


class ICudaEngine:
    """trt.ICudaEngine."""

    def __init__(self, told: dict[str, Any], logger: Any) -> None:
        model = onnx.load_model_from_string(told["onnx"])
        outputs = [value for value in model.graph.output if value.name in told["outputs"]]
        self.inputs = {value.name: ITensor(value) for value in model.graph.input}
        self.tensors = {**self.inputs, **{value.name: ITensor(value) for value in outputs}}
        self.profiles: list[dict[str, Any]] = told["profiles"]
        self.logger = logger
        self.session = ort.InferenceSession(told["onnx"], providers=["CPUExecutionProvider"])
        self.device_memory_size_v2 = SCRATCH

    @property
    def num_io_tensors(self) -> int:
        return len(self.tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        return TensorIOMode.INPUT if name in self.inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return self.tensors[name].dtype

    def get_tensor_location(self, name: str) -> Any:
        return TensorLocation.DEVICE

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
        return list(self.profiles[profile_index][name])

    def create_execution_context(self, strategy: Any) -> IExecutionContext:
        assert strategy == ExecutionContextAllocationStrategy.USER_MANAGED
        return IExecutionContext(self)


class IExecutionContext:
    """trt.IExecutionContext."""

    def __init__(self, engine: ICudaEngine) -> None:
        self._engine, self._device = engine, fake.DEVICE[0]
        self._profile = -1
        self._scratch = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._deferred = True  # shapes were set and not yet acted on

    def set_device_memory(self, memory: int, size: int) -> None:
        assert memory % 256 == 0
        assert size >= SCRATCH
        self._scratch = memory

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        assert stream_handle in self._device.streams
        self._profile = profile_index
        return profile_index < len(self._engine.profiles)

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self._engine.profiles[self._profile][name]
        if not all(a <= size <= b for a, size, b in zip(least, shape, most, strict=True)):
            self._engine.logger.log(Severity.ERROR, f"{name}: {shape} is not in the profile {least} to {most}.")
            return False
        self._shapes[name] = tuple(shape)
        self._deferred = True
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        """Outputs: the batch is the first dimension that an input leaves open."""
        batch = next(
            self._shapes[key][axis]
            for key, tensor in self._engine.inputs.items()
            for axis, size in enumerate(tensor.shape)
            if size == -1 and tensor.get_dimension_name(axis) not in ("p", "slots")
        )
        return tuple(batch if size == -1 else size for size in self._engine.tensors[name].shape)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return memory % 256 == 0

    def execute_async_v3(self, stream_handle: int) -> bool:
        stream = self._device.streams[stream_handle]
        assert self._device.depth()
        assert self._scratch
        assert set(self._shapes) == set(self._engine.inputs)
        assert set(self._addresses) == set(self._engine.tensors)
        if stream.captured is not None and self._deferred:
            return False
        self._deferred = False
        shapes, addresses = dict(self._shapes), dict(self._addresses)
        outputs = [name for name in self._engine.tensors if name not in self._engine.inputs]
        stream.submit(lambda: self._work(shapes, addresses, outputs))
        return True

    def _work(self, shapes: dict[str, tuple[int, ...]], addresses: dict[str, int], outputs: list[str]) -> None:
        self._device.array(self._scratch, (SCRATCH,), np.uint8).fill(0xAA)
        feeds = {
            name: self._device.array(addresses[name], shape, self._engine.tensors[name].dtype)
            for name, shape in shapes.items()
        }
        if "index" in feeds:  # TensorRT reads whatever lies there; ONNX Runtime would count -1 from the end
            assert 0 <= feeds["index"].min() <= feeds["index"].max() < len(next(iter(feeds.values())))
        for name, value in zip(outputs, self._engine.session.run(outputs, feeds), strict=True):
            self._device.array(addresses[name], value.shape, value.dtype)[...] = value


def install(monkeypatch: pytest.MonkeyPatch, device: Device) -> Any:
    """Put the fake in tensorrt's place; returns it."""
    module = types.ModuleType("tensorrt")
    for source in (fake, sys.modules[__name__]):
        for name, value in vars(source).items():
            if isinstance(value, type) or name == "nptype":
                setattr(module, name, value)
    module.__version__ = fake.VERSION[0]  # type: ignore[attr-defined]
    fake.DEVICE[:] = [device]
    fake.NEWS.clear()
    fake.BUILT.clear()
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    return module
