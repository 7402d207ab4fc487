# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a device does at best: square matrix products of torch, several sizes and types, the fastest of them.

A data sheet's figure holds at a clock that the card may never reach; this one was reached here, in this run.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

from benchmarks.measure import Clock
from sdtc_ros.errors import UsageError

# half precision on a GPU, where its matrix units are fastest; a CPU's engines compute in float32
PRODUCTS = {"cuda": ((2048, 4096, 8192, 16384), ("float16", "bfloat16")), "cpu": ((512, 1024, 2048), ("float32",))}
WARM_UP, REPEATS = 3, 10


@dataclass(frozen=True)
class Peak:
    """Floating-point operations a second (2 a multiply-add), and the product that reached them."""

    flops: float
    size: int
    dtype: str

    @property
    def text(self) -> str:
        """'712.3 TFLOP/s (8192 x 8192, float16)'."""
        unit, scale = ("T", 1e12) if self.flops >= 1e12 else ("G", 1e9)
        return f"{self.flops / scale:.1f} {unit}FLOP/s ({self.size} x {self.size}, {self.dtype})"


def measure_peak(device: str, clock: Clock = perf_counter) -> Peak:
    """The fastest matrix product of those for which there is memory."""
    sizes, dtypes = PRODUCTS[device]
    found = []
    for dtype in dtypes:
        for size in sizes:
            with suppress(torch.OutOfMemoryError):
                found.append(_product(device, size, dtype, clock))
    if not found:
        raise UsageError(f"there is no memory left on the {device} for a matrix product of {sizes[0]} x {sizes[0]}")
    return max(found, key=lambda product: product.flops)


def _product(device: str, size: int, dtype: str, clock: Clock) -> Peak:
    a, b = (torch.randn(size, size, device=device, dtype=getattr(torch, dtype)) for _ in range(2))
    out = torch.empty_like(a)
    seconds = median_seconds(lambda: torch.mm(a, b, out=out), device, REPEATS, clock)
    return Peak(2 * size**3 / seconds, size, dtype)


def median_seconds(work: Callable[[], Any], device: str, repeats: int, clock: Clock = perf_counter) -> float:
    """Of one call, the device waited for before and after."""
    for _ in range(WARM_UP):
        work()
    taken = []
    for _ in range(repeats):
        wait(device)
        start = clock()
        work()
        wait(device)
        taken.append(clock() - start)
    return sorted(taken)[len(taken) // 2]


def wait(device: str) -> None:
    """Until the device has done all that was asked of it."""
    if device == "cuda":
        torch.cuda.synchronize()


def give_back(device: str) -> None:
    """The memory that torch keeps of what is gone, for the next engine, which may not be torch's."""
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
