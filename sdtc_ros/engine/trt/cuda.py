# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The GPU through pycuda: a context that any thread may use, memory, and captured CUDA graphs.

pycuda offers no CUDA graphs, and six calls of the driver do: they are made through ctypes, on the library that pycuda
has loaded. pycuda frees memory only in a thread in which its context is current (in others it warns and leaks), so a
block that is dropped goes back to its allocator, which frees or reuses it in a call that has the context.
"""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.engine.failures import full_gpu, is_full
from sdtc_ros.engine.gpu import LIBRARY, gpus
from sdtc_ros.errors import UsageError

if TYPE_CHECKING:
    import pycuda.driver as drv

Array = npt.NDArray[Any]
CACHED = 256 << 20  # bytes of dropped blocks that wait for one of the same size
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: what other threads do meanwhile is no part of it
_log = logging.getLogger(__name__)


class CudaError(Exception):
    """A call of the driver that failed."""


class GpuContext:
    """The primary context, never released, of the first GPU that CUDA shows (CUDA_VISIBLE_DEVICES chooses)."""

    def __init__(self) -> None:
        """Raises UsageError, in one sentence, where there is no GPU, driver or pycuda."""
        self.gpu = gpus()[0]
        _need_pycuda()
        import pycuda.driver as drv

        try:
            drv.init()
            device: drv.Device = drv.Device(0)
            self._context: drv.Context = device.retain_primary_context()
        except drv.Error as error:
            raise UsageError(f"the GPU {self.gpu.name} cannot be used ({error}); check 'nvidia-smi'") from None

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context this thread's; what CUDA raises meanwhile becomes a UsageError of one sentence."""
        import pycuda.driver as drv

        self._context.push()
        try:
            yield
        except drv.MemoryError:
            raise UsageError(self.no_memory()) from None
        except (drv.Error, CudaError) as error:
            raise UsageError(f"the GPU {self.gpu.name} failed ({error}); restart, and check 'nvidia-smi'") from None
        finally:
            drv.Context.pop()

    def memory(self) -> tuple[int, int]:
        """Free and all bytes of the GPU's memory; the context must be current."""
        import pycuda.driver as drv

        free, total = drv.mem_get_info()
        return int(free), int(total)

    def no_memory(self) -> str:
        """A sentence for a GPU that is full; the context must be current."""
        return full_gpu(self.gpu.name, *self.memory())

    def explain(self, reason: str) -> str:
        """A reason that TensorRT gives, or the sentence for a GPU that is full, where it means that."""
        return self.no_memory() if is_full(reason) else reason


@lru_cache(maxsize=1)
def open_gpu() -> GpuContext:
    """The GPU, opened once in a process; raises UsageError where there is none."""
    return GpuContext()


class Allocator:
    """Blocks of a GPU's memory; one that is dropped is used again or freed in a later call."""

    def __init__(self, gpu: GpuContext) -> None:
        self._gpu = gpu
        self._lock = threading.Lock()
        self._dropped: list[Any] = []  # (size, pycuda's allocation)

    def block(self, size: int) -> Block:
        """`size` bytes, at an address divisible by 256; the context must be current."""
        import pycuda.driver as drv

        size = max(1, size)
        with self._lock:
            fitting = next((i for i, (held, _) in enumerate(self._dropped) if held == size), None)
            if fitting is not None:
                return Block(self, *self._dropped.pop(fitting))
            too_many = sum(held for held, _ in self._dropped) > CACHED
        if too_many:
            self.free()
        try:
            return Block(self, size, drv.mem_alloc(size))
        except drv.MemoryError:
            self.free()
            return Block(self, size, drv.mem_alloc(size))

    def drop(self, size: int, allocation: Any) -> None:
        """Take a block back, in whatever thread."""
        with self._lock:
            self._dropped.append((size, allocation))

    def free(self) -> None:
        """Give the dropped blocks back to CUDA; the context must be current."""
        with self._lock:
            dropped, self._dropped = self._dropped, []
        allocation: drv.DeviceAllocation
        for _, allocation in dropped:
            allocation.free()

    def __del__(self) -> None:
        try:
            with self._gpu.current():
                self.free()
        except Exception as error:  # the process ends, or the GPU is lost: either way the memory is gone
            _log.debug("could not free memory: %s", error)


class Block:
    """Device memory, of `size` bytes at `pointer`, for as long as the object lives."""

    __slots__ = ("_allocation", "_allocator", "pointer", "size")

    def __init__(self, allocator: Allocator, size: int, allocation: drv.DeviceAllocation) -> None:
        self._allocator, self._allocation = allocator, allocation
        self.size, self.pointer = size, int(allocation)

    def __del__(self) -> None:
        self._allocator.drop(self.size, self._allocation)


class CudaStream:
    """A CUDA stream and the copies on it; all but `wait` return before they are done, and need the context."""

    def __init__(self) -> None:
        import pycuda.driver as drv

        self._stream: drv.Stream = drv.Stream()
        self.handle = int(self._stream.handle)

    def upload(self, source: Array, target: int) -> None:
        """From a contiguous host array (page-locked, else it waits) to the address `target`."""
        import pycuda.driver as drv

        drv.memcpy_htod_async(target, source, self._stream)

    def download(self, source: int, target: Array) -> None:
        """From the address `source` to a contiguous host array."""
        import pycuda.driver as drv

        drv.memcpy_dtoh_async(target, source, self._stream)

    def copy(self, source: int, target: int, size: int) -> None:
        """`size` bytes from device to device."""
        import pycuda.driver as drv

        drv.memcpy_dtod_async(target, source, size, self._stream)

    def clear(self, target: int, size: int) -> None:
        """`size` bytes of 0."""
        import pycuda.driver as drv

        drv.memset_d8_async(target, 0, size, self._stream)

    def wait(self) -> None:
        """Return when all is done."""
        self._stream.synchronize()


def page_locked(size: int) -> npt.NDArray[np.uint8]:
    """Host memory that copies without a detour; the context must be current, also when it is dropped."""
    import pycuda.driver as drv

    memory: npt.NDArray[np.uint8] = drv.pagelocked_empty(size, np.uint8)
    return memory


class Captured:
    """Work on a stream, recorded once and launched as a whole."""

    def __init__(self, stream: int, work: Callable[[], bool]) -> None:
        """Record what `work` puts on the stream (its handle), without doing it; raises CudaError where that fails.

        work: returns whether it could; the context must be current.
        """
        self._cuda, self._stream, self._exec = _libcuda(), ctypes.c_void_p(stream), ctypes.c_void_p()
        graph = ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", self._stream, ctypes.c_int(_THREAD_LOCAL))
        try:
            done = work()
        finally:  # else the stream stays unusable
            status = self._cuda.cuStreamEndCapture(self._stream, ctypes.byref(graph))
        try:
            if status or not done:
                raise CudaError(f"cuStreamEndCapture: CUDA error {status}" if status else "the work was refused")
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(self._exec), graph, ctypes.c_ulonglong(0))
        finally:
            if graph.value:
                self._cuda.cuGraphDestroy(graph)

    def launch(self) -> None:
        """Put the recorded work on its stream; raises CudaError where CUDA refuses."""
        self._call("cuGraphLaunch", self._exec, self._stream)

    def destroy(self) -> None:
        """Free it; the context must be current."""
        if self._exec.value:
            self._cuda.cuGraphExecDestroy(self._exec)
            self._exec = ctypes.c_void_p()

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._cuda, name)(*arguments)
        if status:
            raise CudaError(f"{name}: CUDA error {status}")


def _need_pycuda() -> None:
    """Raise UsageError, saying what to do, where pycuda cannot be imported."""
    try:
        import pycuda.driver  # noqa: F401
    except (ImportError, OSError) as error:
        raise UsageError(
            f"pycuda cannot be used ({error}): install it ('pip install pycuda' compiles it, with CUDA's toolkit), or "
            "choose provider 'tensorrt', 'cuda' or 'cpu'"
        ) from None


@lru_cache(maxsize=1)
def _libcuda() -> Any:
    """The driver's library, which pycuda has loaded before."""
    return ctypes.CDLL(LIBRARY)
