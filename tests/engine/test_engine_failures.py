# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What runtimes raise reaches the user as one sentence of the right status: a full device, a lost one, a bad graph."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from counting_runtime import CountingRuntime, session
from fake_bundle import make_bundle
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

from sdtc_ros.engine import failures
from sdtc_ros.engine.device import DeviceEngine, View
from sdtc_ros.engine.failures import GraphError, translated
from sdtc_ros.engine.gpu import GpuInfo
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.engine.ort.session import _quiet, open_session, provider_of, warm_up
from sdtc_ros.errors import BundleError, UsageError
from sdtc_ros.models.bundle import Bundle

FULL = "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 41943040"
NODE = "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node. Status Message: "
CALL = "/onnxruntime_src/cuda_call.cc:129 CudaCall(ERRTYPE) "
PROVIDERS = ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is nearly full."""
    monkeypatch.setattr(failures, "gpus", lambda: [GpuInfo("Orin", "8.7", 8 << 30, "12.6")])
    monkeypatch.setattr(failures, "free_memory", lambda: (3 << 20, 8 << 30))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "bundle")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeException(f"{NODE}{FULL}"),
        RuntimeException(f"{NODE}\n{CALL}CUDA failure 2: out of memory ; GPU=0 ; hostname=a ; file=b ; line=1"),
        Fail("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=a"),
        Fail("Available memory of 3 is smaller than requested bytes of 256"),
        MemoryError("std::bad_alloc"),
        MemoryError(),
    ],
)
def test_a_full_gpu_is_told_with_what_is_free(error: Exception) -> None:
    """In whatever words, on whatever line of them, the runtime says it."""
    with pytest.raises(UsageError) as told, translated("cuda"):
        raise error
    assert not isinstance(told.value, GraphError)
    assert str(told.value) == (
        "the GPU Orin has too little memory left (3 MiB of 8192 MiB are free): end other programs that use it, or "
        "choose a smaller model or provider 'cpu'"
    )


def test_a_full_device_that_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver may not answer any more, and the CPU has no driver."""

    def lost() -> Any:
        raise UsageError("no GPU can be used: the driver fails (CUDA error 999)")

    monkeypatch.setattr(failures, "free_memory", lost)
    with (
        pytest.raises(UsageError, match=r"^the GPU has too little memory left: end other programs"),
        translated("cuda"),
    ):
        raise RuntimeException(FULL)
    with pytest.raises(UsageError, match=r"^this computer has too little memory left: end"), translated("cpu"):
        raise MemoryError("std::bad_alloc")


def test_a_lost_gpu_and_a_graph_that_it_refuses() -> None:
    """The first is the device's, the second the graph's, also where cuDNN says it; other errors of ours pass."""
    with pytest.raises(UsageError) as told, translated("cuda"):
        raise Fail(f"{NODE}\n{CALL}CUDA failure 719: unspecified launch failure ; GPU=0 ; hostname=a")
    assert type(told.value) is UsageError
    assert str(told.value) == (
        "provider 'cuda' failed: CUDA failure 719: unspecified launch failure; restart, and check 'nvidia-smi'"
    )
    for text in (f"{NODE}cannot broadcast\nmore", "CUDNN failure 3000: CUDNN_STATUS_NOT_SUPPORTED ; GPU=0"):
        with pytest.raises(GraphError) as refused, translated("tensorrt"):
            raise Fail(text)
        assert str(refused.value) == f"provider 'tensorrt' failed: {text.splitlines()[0]}"
    with pytest.raises(BundleError, match="^ours$"), translated("cuda"):
        raise BundleError("ours")
    with pytest.raises(KeyboardInterrupt), translated("cuda"):
        raise KeyboardInterrupt


def test_a_gpu_that_is_full_at_the_first_run_is_no_broken_bundle(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else FP32 would be tried next, which needs twice the memory; a graph that does not fit is one."""
    engine = DeviceEngine(bundle, CountingRuntime(bundle))

    class Failing:
        def io_binding(self) -> Any:
            raise failing

    monkeypatch.setitem(engine._runtime._sessions, "temporal", Failing())  # type: ignore[attr-defined]
    failing: Exception = RuntimeException(FULL)
    with pytest.raises(UsageError, match="^this computer has too little memory"):
        warm_up(engine, bundle)
    failing = Fail(f"{NODE}cannot broadcast")
    with pytest.raises(BundleError, match="its graphs do not run as described: provider 'cpu' failed: .*broadcast"):
        warm_up(engine, bundle)


def test_a_gpu_that_is_full_when_a_graph_is_loaded(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised, or only printed before the CPU is taken."""
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: PROVIDERS)

    def raising(*_: Any, **__: Any) -> Any:
        raise RuntimeException(f"[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : {FULL}")

    def printing(graph: Any, options: Any, providers: Any) -> Any:
        print("EP Error CUDA failure 2: out of memory ; GPU=0 when using ['CUDAExecutionProvider']")
        return real(graph, options, providers=PROVIDERS[1:])

    for failing in (raising, printing):
        monkeypatch.setattr(onnxruntime, "InferenceSession", failing)
        with pytest.raises(UsageError, match="^the GPU Orin has too little memory left"):
            open_session(bundle.encoder, "cuda")


def test_a_run_that_fails_is_one_sentence(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a video too, and never on the CPU in the GPU's place: that was asked when it was opened."""
    engine = OnnxEngine(bundle, threads=1)
    handles = engine.encode(np.zeros((1, 32, 24, 3), np.uint8))
    assert not engine._encoder._enable_fallback

    def run(*_: Any) -> Any:
        raise RuntimeException(f"[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : {FULL}")

    for graph in (engine._encoder, engine._temporal):
        monkeypatch.setattr(graph, "run", run)
    with pytest.raises(UsageError, match="^this computer has too little memory left"):
        engine.encode(np.zeros((1, 32, 24, 3), np.uint8))
    with pytest.raises(UsageError, match="^this computer has too little memory left"):
        engine.estimate([handles * 5])


def test_what_the_devices_memory_cannot_hold_is_one_sentence(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Really asked for too much; and each of the runtime's other calls, in ONNX Runtime's words."""
    runtime = CountingRuntime(bundle)
    small = np.zeros((4, 3), np.uint8)
    source, target = runtime.upload(small), runtime.allocate((4, 3), np.dtype(np.uint8))
    with pytest.raises(UsageError, match="^this computer has too little memory left"):
        runtime.allocate((1 << 50,), np.dtype(np.uint8))

    def full(*_: Any) -> Any:
        raise RuntimeError(FULL)

    monkeypatch.setattr(onnxruntime.OrtValue, "ortvalue_from_numpy", full)
    with pytest.raises(UsageError, match="^this computer has too little memory left"):
        runtime.upload(small)
    runtime.copy(source, target)
    monkeypatch.setattr(runtime._copies["uint8"], "run_with_iobinding", full)
    with pytest.raises(UsageError, match="^this computer has too little memory left"):
        runtime.copy(source, target)
    beyond = View(source.pointer, (1, 32, 24, 3), np.dtype(np.float32), source.owner)
    with pytest.raises(GraphError, match="^provider 'cpu' failed: .*Unexpected input data type"):
        runtime.run("encoder", {"crops": beyond}, {"tokens": None})


def test_two_threads_that_open_engines_leave_stdout_alone() -> None:
    """Whoever comes second waits; else its end would bring back the first one's place for what is printed."""
    before = sys.stdout
    first_in, second_in = threading.Event(), threading.Event()

    def first() -> None:
        with _quiet("cuda"):
            first_in.set()
            second_in.wait(0.5)

    def second() -> None:
        first_in.wait()
        with _quiet("cuda"):
            second_in.set()
            threads[0].join(0.5)  # without a lock the first leaves now, inside of this block

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after, sys.stdout = sys.stdout, before
    assert after is before


def test_sessions_name_the_provider_that_they_run_on(bundle: Bundle) -> None:
    """Not the one asked for, when the CPU has taken its place."""
    assert provider_of(session("encoder", bundle.encoder)) == "cpu"
    assert provider_of(SimpleNamespace(get_providers=lambda: PROVIDERS)) == "cuda"
