# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How engines of a GPU are opened: what each provider is told, in which order things are asked for, what is checked."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_cuda
import fake_tensorrt
import fake_tensorrt_runtime
import numpy as np
import onnx
import onnxruntime
import pytest
from fake_bundle import TINY_BUNDLE, make_bundle

from sdtc_ros.engine.cache import Cache
from sdtc_ros.engine.device import DeviceEngine
from sdtc_ros.engine.gpu import GpuInfo
from sdtc_ros.engine.ort import device as onnx_device
from sdtc_ros.engine.ort import tensorrt as onnx_tensorrt
from sdtc_ros.engine.ort.device import CUDA_OPTIONS, OnnxRuntime, open_onnx_device
from sdtc_ros.engine.select import EngineConfig, open_engine
from sdtc_ros.engine.trt import build as tensorrt_build
from sdtc_ros.engine.trt import cuda
from sdtc_ros.engine.trt.build import most_slots
from sdtc_ros.engine.trt.device import open_tensorrt
from sdtc_ros.errors import BundleError, UsageError
from sdtc_ros.models.bundle import Bundle, load_bundle

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
Opening = Callable[[Bundle], DeviceEngine]


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "bundle")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[str, dict[str, str]]]]:
    """ONNX Runtime as it is with a GPU, computing on the CPU; what its sessions were told, one after the other."""
    real, found = onnxruntime.InferenceSession, list[Any]()

    def session(graph: Any, options: Any = None, providers: Any = ()) -> Any:
        if options is None:  # the stand-in for TensorRT's own
            return real(graph, providers=providers)
        found.append(providers)
        made = real(graph, options, providers=[CPU])
        made.get_providers = lambda: [name for name, _ in providers]
        return made

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr(onnx_tensorrt, "gpus", lambda: [GpuInfo("Orin", "8.7", 1, "12.6")])
    monkeypatch.setattr(onnx_device, "OnnxRuntime", lambda sessions, make, _: OnnxRuntime(sessions, make, "cpu"))
    return found


@pytest.fixture(params=["cuda", "tensorrt", "tensorrt-direct"])
def opening(request: pytest.FixtureRequest, told: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Opens a device engine on each of the three runtimes, which compute on the CPU."""
    cache = Cache(tmp_path / "cache")
    fake_tensorrt.BUILT.clear()
    if request.param != "tensorrt-direct":
        yield lambda bundle: open_onnx_device(bundle, request.param, "fp32", cache)
        return
    fake_tensorrt_runtime.install(monkeypatch, fake_cuda.install(monkeypatch))
    yield lambda bundle: open_tensorrt(bundle, "fp32", lambda _: None, cache, 2)
    cuda.open_gpu.cache_clear()


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_cuda_is_told_the_same_alone_and_beside_tensorrt(
    bundle: Bundle, told: Any, tmp_path: Path, provider: str
) -> None:
    """No TF32, no search for algorithms at every new number of people: also for what TensorRT leaves to it."""
    open_onnx_device(bundle, provider, "fp32", Cache(tmp_path / "cache"))
    assert len(told) == 3
    for providers in told:
        assert [options for name, options in providers if name == CUDA] == [CUDA_OPTIONS]
        assert providers[-1] == (CPU, {})
    own = [dict(providers).get(TENSORRT) for providers in told]
    assert [options is not None and "trt_profile_max_shapes" in options for options in own] == (
        [True, True, False] if provider == "tensorrt" else [False] * 3
    )
    assert CUDA_OPTIONS == {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}


def test_the_cuda_provider_knows_every_option() -> None:
    """Against the names in the installed provider's own library."""
    library = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
    if not library.is_file():
        pytest.skip("the installed ONNX Runtime has no CUDA provider (pip install onnxruntime-gpu)")
    content = library.read_bytes()
    assert [name for name in (*CUDA_OPTIONS, "HEURISTIC") if b"\0" + name.encode() + b"\0" not in content] == []


def test_without_the_onnx_package(bundle: Bundle, opening: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing and what to do, and no traceback."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"^provider '\S+' needs the package onnx: pip install 'onnx>=1.17'$"):
        opening(bundle)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "tensorrt-direct"])
def test_where_the_provider_is_missing_that_is_said_first(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    """The onnx package would not help; and the CPU, where it is allowed, needs it not."""
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    cache = Cache(tmp_path / "cache")
    with pytest.raises(UsageError, match="no GPU can be used|cannot be used"):
        open_engine(bundle, EngineConfig(provider), cache=cache)
    said: list[str] = []
    engine = open_engine(bundle, EngineConfig(provider, "auto", 1, True), report=said.append, cache=cache)
    assert engine.providers == [CPU]  # type: ignore[attr-defined]
    assert len(said) == 1


def of_type(path: Path, element: int) -> None:
    """Have the graph's output `tokens` be of another type."""
    model = onnx.load(path)
    (output,) = model.graph.output
    last = model.graph.node[-1]
    last.output[0] = "real_tokens"
    model.graph.node.append(onnx.helper.make_node("Cast", ["real_tokens"], ["tokens"], to=element))
    output.type.tensor_type.elem_type = element
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("names", r"encoder.onnx' takes \['crops'\] and gives \['tokens'\], but must take \['crops'\] and give \['fea"),
        ("type", r"encoder.onnx': 'tokens' is of DOUBLE, but must be of FLOAT or FLOAT16"),
        ("tokens", r"encoder.onnx': 'tokens' is of shape \['n', 4, 3\], but model.json says \['n', 4, 2\]"),
        ("frames", r"temporal.onnx': 'tokens' is of shape \['n', 5, 4, 3\], but model.json says \['n', 3, 4, 3\]"),
        ("damage", r"temporal.onnx' is not a readable ONNX graph: "),
    ],
)
def test_graphs_that_are_not_as_described_are_refused_before_anything_is_built(
    bundle: Bundle, opening: Opening, told: Any, change: str, sentence: str
) -> None:
    """As on the CPU: a sentence about the bundle, and nothing is written beyond a tensor's end."""
    if change == "names":
        bundle = dataclasses.replace(bundle, tokens={"features": (4, 3)})
    elif change == "type":
        of_type(bundle.encoder, onnx.TensorProto.DOUBLE)
    elif change == "tokens":
        bundle = dataclasses.replace(bundle, tokens={"tokens": (4, 2)})
    elif change == "frames":
        bundle = dataclasses.replace(bundle, delta=1)
    else:
        bundle.temporal.write_bytes(b"no graph at all")
    with pytest.raises(BundleError, match=sentence) as refusal:
        opening(bundle)
    assert "\n" not in str(refusal.value)
    assert fake_tensorrt.BUILT == []
    assert len(told) <= 1


def test_the_shipped_model_is_as_described(opening: Opening) -> None:
    """The check lets through what is right."""
    engine = opening(load_bundle(TINY_BUNDLE))
    handles = engine.encode(np.zeros((2, 128, 96, 3), np.uint8))
    assert engine.estimate([handles[:1] * 5])[0].shape == (1, 15, 3)


def test_a_pool_has_as_many_slots_as_a_tensor_may_hold(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """TensorRT's tensors have less than 2^31 elements; feature maps of 331776 numbers a crop reach that at 6472."""
    assert most_slots({"tokens": (48, 96)}) == 1 << 16
    assert most_slots({"tokens": (192, 256)}) == 43690
    assert most_slots({"small": (3,), "maps": (48, 96, 72)}) == 6472
    monkeypatch.setattr(tensorrt_build, "ELEMENTS", 12 * 100 + 1)
    device = fake_cuda.install(monkeypatch)
    fake_tensorrt_runtime.install(monkeypatch, device)
    engine = open_tensorrt(bundle, "fp32", lambda _: None, Cache(tmp_path / "cache"), 2)
    temporal = engine._runtime._graphs["temporal"].engine  # type: ignore[attr-defined]
    for profile in (0, 1):
        assert temporal.get_tensor_profile_shape("pool_tokens", profile) == [(1, 4, 3), (100, 4, 3), (100, 4, 3)]
    kept = engine.encode(np.zeros((64, 32, 24, 3), np.uint8))
    engine.estimate([kept[:5]])
    kept += engine.encode(np.zeros((1, 32, 24, 3), np.uint8))
    with pytest.raises(UsageError, match=r"could not take 'pool_tokens' of shape \[128, 4, 3\] in 'temporal'"):
        engine.estimate([kept[:5]])
    del engine, kept
    cuda.open_gpu.cache_clear()


def test_the_providers_pool_too(bundle: Bundle, told: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tensorrt_build, "ELEMENTS", 12 * 100 + 1)
    open_onnx_device(bundle, "tensorrt", "fp32", Cache(tmp_path / "cache"))
    assert dict(told[1])[TENSORRT]["trt_profile_max_shapes"] == "pool_tokens:100x4x3,index:64x5"


@pytest.mark.parametrize(
    ("words", "kind", "sentence"),
    [
        ("Error Code 1: Cuda Runtime (out of memory)", UsageError, "the GPU Fake GPU has too little memory left"),
        (
            "Error Code 1: Cuda Runtime (unspecified launch failure)",
            UsageError,
            "could not run in 'encoder': .* launch",
        ),
        ("Error Code 2: no implementation", BundleError, "its graphs do not run as described: TensorRT could not run"),
    ],
)
def test_a_first_run_that_tensorrt_refuses(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, kind: type[Exception], sentence: str
) -> None:
    """A full or lost GPU is no broken bundle, with which the next precision would be tried."""
    fake_tensorrt_runtime.install(monkeypatch, fake_cuda.install(monkeypatch))

    def refuse(context: Any, _: int) -> bool:
        context._engine.logger.log(fake_tensorrt.Severity.ERROR, words)
        return False

    monkeypatch.setattr(fake_tensorrt_runtime.IExecutionContext, "execute_async_v3", refuse)
    with pytest.raises(kind, match=sentence):
        open_tensorrt(bundle, "fp32", lambda _: None, Cache(tmp_path / "cache"), 2)
    cuda.open_gpu.cache_clear()
