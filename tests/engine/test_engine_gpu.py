# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the driver says of GPUs, against a library that stands in for libcuda."""

# ruff: noqa: N802 (the functions are named as libcuda names them)

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from sdtc_ros.engine.gpu import GpuInfo, free_memory, gpus
from sdtc_ros.errors import UsageError


class Driver:
    """The functions of libcuda that are used: two GPUs, the second half full."""

    def __init__(self, init: int = 0, count: int = 2, memory: int = 0) -> None:
        self.init, self.count, self.memory = init, count, memory
        self.held = self.current = 0

    def cuInit(self, flags: int) -> int:
        assert flags == 0
        return self.init

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = 12040
        return 0

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self.count
        return 0

    def cuDeviceGet(self, device: Any, number: int) -> int:
        device._obj.value = number + 7
        return 0 if number < self.count else 101

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:
        assert size == 256
        name.value = b"Orin" if device.value == 7 else b"NVIDIA H200"
        return 0

    def cuDeviceGetAttribute(self, value: Any, which: int, device: Any) -> int:
        value._obj.value = {75: 9, 76: 0}[which] if device.value == 8 else {75: 8, 76: 7}[which]
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:
        memory._obj.value = (device.value - 6) * 10 * 2**30
        return 0

    def cuDevicePrimaryCtxRetain(self, context: Any, device: Any) -> int:
        self.held += 1
        return 0

    def cuCtxPushCurrent_v2(self, context: Any) -> int:
        self.current += 1
        return 0

    def cuMemGetInfo_v2(self, free: Any, total: Any) -> int:
        free._obj.value, total._obj.value = 5 * 2**30, 20 * 2**30
        return self.memory

    def cuCtxPopCurrent_v2(self, context: Any) -> int:
        self.current -= 1
        return 0

    def cuDevicePrimaryCtxRelease_v2(self, device: Any) -> int:
        self.held -= 1
        return 0


def install(monkeypatch: pytest.MonkeyPatch, driver: Driver | None) -> None:
    """Have `driver` found in libcuda's place, or no library at all."""

    def load(name: str) -> Driver:
        assert name == "libcuda.so.1"
        if driver is None:
            raise OSError(f"{name}: cannot open shared object file")
        return driver

    monkeypatch.setattr(ctypes, "CDLL", load)


def test_every_gpu_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Driver())
    found = gpus()
    assert found == [GpuInfo("Orin", "8.7", 10 * 2**30, "12.4"), GpuInfo("NVIDIA H200", "9.0", 20 * 2**30, "12.4")]
    assert str(found[1]) == "NVIDIA H200 (compute capability 9.0, 20 GiB, driver for CUDA 12.4)"


@pytest.mark.parametrize("memory", [0, 2])
def test_memory_is_asked_for_without_leaving_a_context_behind(monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    driver = Driver(memory=memory)
    install(monkeypatch, driver)
    if memory:
        with pytest.raises(UsageError, match="CUDA error 2"):
            free_memory()
    else:
        assert free_memory(1) == (5 * 2**30, 20 * 2**30)
    assert driver.held == driver.current == 0


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (None, "there is no NVIDIA driver here"),
        (Driver(init=100), r"the driver finds no GPU \(CUDA error 100\)"),
        (Driver(init=803), "different versions: reboot"),
        (Driver(init=999), r"the driver fails \(CUDA error 999\)"),
        (Driver(count=0), "CUDA_VISIBLE_DEVICES"),
    ],
)
def test_no_gpu_is_one_sentence_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, driver: Driver | None, reason: str
) -> None:
    install(monkeypatch, driver)
    with pytest.raises(UsageError, match=f"^no GPU can be used: .*{reason}"):
        gpus()
