# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A stand-in for pycuda.driver and libcuda: device memory is host memory, and streams are as late as they may be.

Work on a stream is done only when somebody waits for it (so a host buffer that is overwritten too early is noticed),
no copy may leave its block, everything needs the context of its thread, and memory that is dropped in a thread
without it is lost, as with pycuda.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sdtc_ros.engine.gpu import GpuInfo
from sdtc_ros.engine.trt import cuda

GIB = 1 << 30


class Device:
    """What all of the fake's objects share; one a test."""

    def __init__(self) -> None:
        self.blocks: dict[int, tuple[int, np.ndarray]] = {}  # address -> size, memory
        self.streams: dict[int, Stream] = {}
        self.graphs: dict[int, list[Callable[[], None]]] = {}
        self.stack = threading.local()
        self.lost: list[str] = []
        self.limit = 8 * GIB
        self.launches = self.captures = 0
        self.refuse_capture = self.refuse_launch = False
        self.next = 1 << 20

    def depth(self) -> int:
        """How often the context is current in this thread."""
        return getattr(self.stack, "depth", 0)

    def used(self) -> int:
        return sum(size for size, _ in self.blocks.values())

    def array(self, pointer: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Memory of the device as an array; out of its block is an error, as in compute-sanitizer."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        for start, (length, _) in self.blocks.items():
            if start <= pointer and pointer + size <= start + length:
                return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(pointer)).view(dtype).reshape(shape)
        raise AssertionError(f"{size} bytes at {pointer} are not of one block")


class Stream:
    """pycuda.driver.Stream."""

    def __init__(self, device: Device) -> None:
        self._device = device
        _need(device)
        device.next += 256
        self.handle = device.next
        self.queue: list[Callable[[], None]] = []
        self.captured: list[Callable[[], None]] | None = None
        device.streams[self.handle] = self

    def submit(self, work: Callable[[], None]) -> None:
        (self.queue if self.captured is None else self.captured).append(work)

    def synchronize(self) -> None:
        _need(self._device)
        assert self.captured is None, "CUDA error 900: not permitted when the stream is capturing"
        queue, self.queue = self.queue, []
        for work in queue:
            work()


class Allocation:
    """pycuda.driver.DeviceAllocation."""

    def __init__(self, device: Device, size: int) -> None:
        _need(device)
        if device.used() + size > device.limit:
            raise DriverMemoryError("cuMemAlloc failed: out of memory")
        memory = np.full(size + 256, 0xFF, np.uint8)  # whoever reads what nobody has written sees NaN and -1
        self._device, self._pointer = device, -(-memory.ctypes.data // 256) * 256
        device.blocks[self._pointer] = (size, memory)

    def __int__(self) -> int:
        return self._pointer

    def free(self) -> None:
        if not self._device.depth():
            self._device.lost.append("device memory")
        del self._device.blocks[self._pointer]


class PageLocked:
    """The owner of a page-locked array."""

    def __init__(self, device: Device, size: int) -> None:
        _need(device)
        self._device, self._memory = device, np.zeros(size, np.uint8)
        self.__array_interface__ = self._memory.__array_interface__

    def __del__(self) -> None:
        if not self._device.depth():
            self._device.lost.append("page-locked memory")


class DriverError(Exception):
    """pycuda.driver.Error."""


class DriverMemoryError(DriverError):
    """pycuda.driver.MemoryError."""


class Context:
    """pycuda.driver.Context, the primary one."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def push(self) -> None:
        self._device.stack.depth = self._device.depth() + 1


class LibCuda:
    """The six calls of libcuda."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def cuStreamBeginCapture_v2(self, stream: Any, mode: Any) -> int:  # noqa: N802
        assert mode.value == 1
        _need(self._device)
        self._device.streams[stream.value].captured = []
        return 0

    def cuStreamEndCapture(self, stream: Any, graph: Any) -> int:  # noqa: N802
        one = self._device.streams[stream.value]
        work, one.captured = one.captured, None
        if self._device.refuse_capture:
            return 901
        self._device.captures += 1
        graph._obj.value = self._device.next = self._device.next + 256
        self._device.graphs[graph._obj.value] = list(work or [])
        return 0

    def cuGraphInstantiateWithFlags(self, executable: Any, graph: Any, flags: Any) -> int:  # noqa: N802
        assert flags.value == 0
        executable._obj.value = self._device.next = self._device.next + 256
        self._device.graphs[executable._obj.value] = self._device.graphs[graph.value]
        return 0

    def cuGraphLaunch(self, executable: Any, stream: Any) -> int:  # noqa: N802
        _need(self._device)
        if self._device.refuse_launch:
            return 719
        self._device.launches += 1
        for work in self._device.graphs[executable.value]:
            self._device.streams[stream.value].submit(work)
        return 0

    def cuGraphDestroy(self, graph: Any) -> int:  # noqa: N802
        del self._device.graphs[graph.value]
        return 0

    cuGraphExecDestroy = cuGraphDestroy  # noqa: N815


def install(monkeypatch: pytest.MonkeyPatch) -> Device:
    """Put the fake in pycuda's and libcuda's places."""
    device = Device()
    driver = types.ModuleType("pycuda.driver")

    def pop() -> None:
        device.stack.depth -= 1

    def upload(target: int, source: np.ndarray, stream: Stream) -> None:
        _need(device)
        assert source.flags.c_contiguous
        assert _owner_is_page_locked(source), "a copy from pageable memory waits"
        stream.submit(lambda: _fill(device.array(target, (source.nbytes,), np.uint8), source.view(np.uint8).ravel()))

    def download(target: np.ndarray, source: int, stream: Stream) -> None:
        _need(device)
        assert _owner_is_page_locked(target)
        stream.submit(lambda: _fill(target.view(np.uint8).ravel(), device.array(source, (target.nbytes,), np.uint8)))

    def between(target: int, source: int, size: int, stream: Stream) -> None:
        _need(device)
        stream.submit(lambda: _fill(device.array(target, (size,), np.uint8), device.array(source, (size,), np.uint8)))

    def clear(target: int, value: int, size: int, stream: Stream) -> None:
        _need(device)
        stream.submit(lambda: device.array(target, (size,), np.uint8).fill(value))

    context = type("Context", (), {"pop": staticmethod(pop)})
    one = types.SimpleNamespace(retain_primary_context=lambda: Context(device))
    for name, value in {
        "init": lambda: None, "Device": lambda number: one, "Context": context, "Error": DriverError,
        "MemoryError": DriverMemoryError, "Stream": lambda: Stream(device),
        "mem_alloc": lambda n: Allocation(device, n),
        "pagelocked_empty": lambda size, dtype: np.asarray(PageLocked(device, size)), "memcpy_htod_async": upload,
        "memcpy_dtoh_async": download, "memcpy_dtod_async": between, "memset_d8_async": clear,
        "mem_get_info": lambda: (device.limit - device.used(), device.limit),
    }.items():  # fmt: skip
        setattr(driver, name, value)
    package = types.ModuleType("pycuda")
    package.driver = driver  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    monkeypatch.setattr(cuda, "gpus", lambda: [GpuInfo("Fake GPU", "8.7", device.limit, "12.6")])
    monkeypatch.setattr(cuda, "_libcuda", lambda: LibCuda(device))
    cuda.open_gpu.cache_clear()
    return device


def _need(device: Device) -> None:
    if not device.depth():
        raise DriverError("invalid device context")


def _fill(target: np.ndarray, source: np.ndarray) -> None:
    target[...] = source


def _owner_is_page_locked(array: Any) -> bool:
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return isinstance(array, PageLocked)
