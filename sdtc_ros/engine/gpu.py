# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The NVIDIA driver's own word on the GPUs there are, through libcuda alone: no CUDA toolkit, no Python package."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from sdtc_ros.errors import UsageError

LIBRARY = "libcuda.so.1"
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
_ERRORS = {
    3: "the driver is not initialised", 34: "the driver is a stub of the CUDA toolkit, not a real one",
    35: "the driver is older than CUDA needs: update it", 100: "the driver finds no GPU",
    101: "the GPU's number is not valid", 802: "the GPU's fabric manager is not ready",
    803: "the kernel's driver module and libcuda are of different versions: reboot, or reinstall the driver",
    804: "this GPU supports no forward compatibility with this CUDA: update the driver",
}  # fmt: skip


@dataclass(frozen=True)
class GpuInfo:
    """One GPU: its name, compute capability ('9.0'), bytes of memory, and the CUDA version of its driver ('13.0')."""

    name: str
    capability: str
    memory: int
    driver: str

    def __str__(self) -> str:
        """'NVIDIA H200 (compute capability 9.0, 140 GiB, driver for CUDA 13.0)'."""
        memory = f"{self.memory / 2**30:.0f} GiB"
        return f"{self.name} (compute capability {self.capability}, {memory}, driver for CUDA {self.driver})"


def gpus() -> list[GpuInfo]:
    """The GPUs that CUDA can use, in its order; raises UsageError with the reason where there is none."""
    library = _open_driver()
    version, count = ctypes.c_int(), ctypes.c_int()
    _ask(library.cuDriverGetVersion(ctypes.byref(version)))
    _ask(library.cuDeviceGetCount(ctypes.byref(count)))
    if not count.value:
        raise UsageError("no GPU can be used: the driver finds none (is CUDA_VISIBLE_DEVICES empty?)")
    driver = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return [_gpu(library, number, driver) for number in range(count.value)]


def free_memory(number: int = 0) -> tuple[int, int]:
    """Bytes free and in all on that GPU; raises UsageError where they are not known."""
    library = _open_driver()
    device, context, out = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _ask(library.cuDeviceGet(ctypes.byref(device), number))
    _ask(library.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
    try:
        _ask(library.cuCtxPushCurrent_v2(context))
        try:
            _ask(library.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)))
        finally:
            library.cuCtxPopCurrent_v2(ctypes.byref(out))
    finally:
        library.cuDevicePrimaryCtxRelease_v2(device)
    return free.value, total.value


def _gpu(library: Any, number: int, driver: str) -> GpuInfo:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    _ask(library.cuDeviceGet(ctypes.byref(device), number))
    _ask(library.cuDeviceGetName(name, len(name), device))
    _ask(library.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device))
    _ask(library.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device))
    _ask(library.cuDeviceTotalMem_v2(ctypes.byref(memory), device))
    return GpuInfo(name.value.decode(errors="replace"), f"{major.value}.{minor.value}", memory.value, driver)


def _open_driver() -> Any:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        raise UsageError(f"no GPU can be used: there is no NVIDIA driver here ({LIBRARY} is not installed)") from None
    _ask(library.cuInit(0))
    return library


def _ask(status: int) -> None:
    if status:
        raise UsageError(f"no GPU can be used: {_ERRORS.get(status, 'the driver fails')} (CUDA error {status})")
