# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A stand-in for tensorrt that runs graphs with ONNX Runtime on the CPU, with TensorRT's rules where ours could break.

Shapes outside the profile, addresses that are not aligned or missing, contexts without memory, work captured before a
plain run: refused, as TensorRT's headers say. Names are TensorRT's; a test compares them with installed bindings.
"""

from __future__ import annotations

import enum
import math
import pickle
import time
from typing import Any

import numpy as np
import onnx
from fake_cuda import Device

DEVICE: list[Device] = []  # the test's
NEWS: dict[str, Any] = {}  # what a test wants of the builder: "fail", "steps", "seconds"
BUILT: list[str] = []  # graphs that were built


class Severity(enum.IntEnum):
    """trt.ILogger.Severity."""

    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3


class ILogger:
    """trt.ILogger."""

    Severity = Severity

    def __init__(self) -> None:
        self.ready = True


class IProgressMonitor:
    """trt.IProgressMonitor."""

    def __init__(self) -> None:
        self.ready = True


def names(name: str, text: str, base: type = enum.IntEnum) -> Any:
    """An enumeration."""
    return enum.IntEnum(name, {word: i for i, word in enumerate(text.split())})


NetworkDefinitionCreationFlag = names("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH STRONGLY_TYPED")
MemoryPoolType = names("MemoryPoolType", "WORKSPACE")
BuilderFlag = names("BuilderFlag", "TF32")
TensorIOMode = names("TensorIOMode", "NONE INPUT OUTPUT")
TensorLocation = names("TensorLocation", "DEVICE HOST")
ExecutionContextAllocationStrategy = names(
    "ExecutionContextAllocationStrategy", "STATIC ON_PROFILE_CHANGE USER_MANAGED"
)


class ITensor:
    """trt.ITensor of a network."""

    def __init__(self, value: onnx.ValueInfoProto) -> None:
        kind = value.type.tensor_type
        self.name = value.name
        self.dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
        self._dimensions = list(kind.shape.dim)
        self.shape = tuple(-1 if d.dim_param else d.dim_value for d in self._dimensions)

    def get_dimension_name(self, index: int) -> str:
        return str(self._dimensions[index].dim_param)


class INetworkDefinition:
    """trt.INetworkDefinition."""

    def __init__(self) -> None:
        self.model = onnx.ModelProto()
        self._outputs: list[ITensor] = []

    def take(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._outputs = [ITensor(value) for value in model.graph.output]

    @property
    def num_inputs(self) -> int:
        return len(self.model.graph.input)

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    def get_input(self, index: int) -> ITensor:
        return ITensor(self.model.graph.input[index])

    def get_output(self, index: int) -> ITensor:
        return self._outputs[index]

    def unmark_output(self, tensor: ITensor) -> None:
        self._outputs.remove(tensor)


class ParserError:
    """trt.ParserError."""

    def __init__(self, text: str) -> None:
        self._text = text

    def desc(self) -> str:
        return self._text

    def node_name(self) -> str:
        return "encoder/twist"

    def node_operator(self) -> str:
        return "Twist"


class OnnxParser:
    """trt.OnnxParser."""

    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        self._network, self._errors = network, list[ParserError]()

    def parse(self, model: bytes, path: str | None = None) -> bool:
        read = onnx.load_model_from_string(model)
        for node in read.graph.node:
            if node.op_type == "Twist":
                self._errors += [ParserError("no such operator.\nat importer.cpp:12"), ParserError("another")]
        self._network.take(read)
        return not self._errors

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        return self._errors[index]


class IOptimizationProfile:
    """trt.IOptimizationProfile."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[Any, Any, Any]] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        assert all(0 <= a <= b <= c for a, b, c in zip(min, opt, max, strict=True))
        assert math.prod(max) < 1 << 31, "a tensor's volume"
        self.shapes[input] = (min, opt, max)


class ITimingCache:
    """trt.ITimingCache."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> Any:
        return memoryview(self.content or b"timings of Fake GPU")


class IBuilderConfig:
    """trt.IBuilderConfig."""

    def __init__(self) -> None:
        self.profiles: list[IOptimizationProfile] = []
        self.progress_monitor: Any = None

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        assert pool == MemoryPoolType.WORKSPACE
        assert pool_size > 0

    def clear_flag(self, flag: Any) -> None:
        assert flag == BuilderFlag.TF32

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache:
        return ITimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        return cache.content in (b"", b"timings of Fake GPU")


class Builder:
    """trt.Builder."""

    def __init__(self, logger: ILogger) -> None:
        assert logger.ready
        self._logger: Any = logger
        if NEWS.get("start"):
            self._logger.log(Severity.ERROR, NEWS["start"])
            if NEWS.get("null"):
                raise TypeError("pybind11::init(): factory function returned nullptr")

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        assert flags & 1 << int(NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig()

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> Any:
        monitor = config.progress_monitor
        monitor.phase_start("Building", None, NEWS.get("steps", 2))
        for step in range(NEWS.get("steps", 2)):
            time.sleep(NEWS.get("seconds", 0))
            if not monitor.step_complete("Building", step):
                return None
        monitor.phase_finish("Building")
        if NEWS.get("fail"):
            self._logger.log(Severity.ERROR, NEWS["fail"])
            return None
        BUILT.append(network.model.graph.name)
        wanted = [network.get_output(i).name for i in range(network.num_outputs)]
        return memoryview(pickle.dumps({
            "version": VERSION[0], "onnx": network.model.SerializeToString(), "outputs": wanted,
            "profiles": [profile.shapes for profile in config.profiles],
        }))  # fmt: skip


VERSION = ["10.3.0"]


def nptype(kind: Any) -> Any:
    """trt.nptype; the fake's types are NumPy's."""
    return kind.type
