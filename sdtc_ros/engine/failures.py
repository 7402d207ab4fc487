# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a runtime raises where it fails, as one sentence of ours: a full GPU, a lost one, a graph that it refuses.

ONNX Runtime's exceptions have no common, public base, and TensorRT has none: what happened stands in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sdtc_ros.engine.gpu import free_memory, gpus
from sdtc_ros.errors import SdtcError, UsageError

_FULL = re.compile(
    "out.?of.?memory|enough.*memory|insufficient (memory|workspace)|fail(ed|ure)? to allocate|bad_?alloc"
    "|alloc(ation)?_failed|memory.*smaller than requested",
    re.IGNORECASE,
)
_LOST = re.compile(  # the words of ONNX Runtime, then TensorRT's; what cuDNN does not support is no lost GPU
    r"\b(CUDA|CUDNN|CUBLAS) failure \d+: (?!\w*NOT_SUPPORTED)[^;\n]*|\bCuda (Runtime|Driver) \([^)\n]*\)"
)
_ADVICE = "end other programs that use it, or choose a smaller model"


class GraphError(UsageError):
    """A run that failed for no reason of the device's: while a bundle is opened, its graphs are the cause."""


def is_full(reason: str) -> bool:
    """Whether a runtime's words mean that there is no memory left."""
    return _FULL.search(reason) is not None


def full_gpu(name: str, free: int, total: int) -> str:
    """The sentence for a GPU that is full; free and total in bytes."""
    return (
        f"the GPU {name} has too little memory left ({free >> 20} MiB of {total >> 20} MiB are free): {_ADVICE} or "
        "provider 'cpu'"
    )


def no_memory(provider: str) -> str:
    """The sentence for a device that is full, whatever the runtime on it."""
    if provider == "cpu":
        return f"this computer has too little memory left: {_ADVICE}"
    try:
        return full_gpu(gpus()[0].name, *free_memory())
    except UsageError:  # the driver is not to be asked; what is known is reported
        return f"the GPU has too little memory left: {_ADVICE} or provider 'cpu'"


def is_lost(reason: str) -> bool:
    """Whether a runtime's words mean that the device, and not what it was to do, is the cause."""
    return _LOST.search(reason) is not None


def device_failure(error: Exception, provider: str) -> UsageError | None:
    """What to report where the device is the cause of a runtime's exception; None where it is not."""
    reason = str(error)
    if isinstance(error, MemoryError) or is_full(reason):
        return UsageError(no_memory(provider))
    if lost := _LOST.search(reason):
        return UsageError(f"provider '{provider}' failed: {lost[0].strip()}; restart, and check 'nvidia-smi'")
    return None


@contextmanager
def translated(provider: str) -> Iterator[None]:
    """For a runtime's calls: whatever they raise becomes a UsageError of one sentence, for `provider`."""
    try:
        yield
    except SdtcError:
        raise
    except Exception as error:
        told = device_failure(error, provider) or GraphError(f"provider '{provider}' failed: {first_line(error)}")
        raise told from None


def first_line(error: Exception) -> str:
    """What an exception says, cut to one line of a readable length; its name where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
