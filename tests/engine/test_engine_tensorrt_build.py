# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Building engines: what TensorRT says, refuses or is stopped in comes back as one sentence, and leaves nothing."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

import fake_cuda
import fake_tensorrt
import fake_tensorrt_runtime
import numpy as np
import onnx.parser
import pytest

from sdtc_ros.engine.trt import build as tensorrt_build
from sdtc_ros.engine.trt.build import BATCH, Graph, build_engine, tensorrt_version
from sdtc_ros.errors import BundleError, UsageError

TEXT = """<ir_version: 8, opset_import: ["": 17]>
double (float[n, 3] x, float[slots, 3] pool) => (float[n, 3] y, float[n, 3] heatmaps)
{ y = Add (x, x) heatmaps = Identity (y) }"""
RANGES = {"slots": (1, 8, 64), BATCH: (2, 2, 2)}


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch) -> Any:
    return fake_tensorrt_runtime.install(monkeypatch, fake_cuda.install(monkeypatch))


def graph(text: str = TEXT) -> Graph:
    return Graph("encoder", onnx.parser.parse_model(text).SerializeToString(), ["y"])


def build(what: Graph, timing: bytes = b"", lines: list[str] | None = None) -> tuple[bytes, bytes]:
    report = [].append if lines is None else lines.append
    return build_engine(what, [RANGES, {**RANGES, BATCH: (4, 4, 4)}], memory=1 << 20, timing=timing, report=report)


def test_profiles_and_outputs(trt: Any) -> None:
    """Dimensions by their names in the graph, all others the batch; what nobody wants is no output."""
    content, timing = build(graph())
    engine = trt.Runtime(tensorrt_build.make_logger()).deserialize_cuda_engine(content)
    assert engine.get_tensor_profile_shape("x", 1) == [(4, 3)] * 3
    assert engine.get_tensor_profile_shape("pool", 0) == [(1, 3), (8, 3), (64, 3)]
    assert [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)] == ["x", "pool", "y"]
    assert timing == b"timings of Fake GPU"


@pytest.mark.parametrize("kept", [b"", b"timings of Fake GPU", b"timings of another GPU"])
def test_timing_caches_of_others_are_left_aside(trt: Any, kept: bytes) -> None:
    """The new one is always this GPU's."""
    assert build(graph(), timing=kept)[1] == b"timings of Fake GPU"


def test_a_graph_that_the_parser_refuses(trt: Any) -> None:
    """The first error with its node, how many there are, one line."""
    model = onnx.parser.parse_model(TEXT)
    model.graph.node[0].op_type = "Twist"
    wrong = Graph("encoder", model.SerializeToString(), ["y"])
    with pytest.raises(BundleError) as caught:
        build(wrong)
    assert str(caught.value) == (
        "TensorRT 10.3.0 cannot parse the graph 'encoder': node 'encoder/twist' (Twist): no such operator (and 1 more)"
    )


def test_a_build_that_fails(trt: Any) -> None:
    """TensorRT says why to its logger only."""
    fake_tensorrt.NEWS["fail"] = "Could not find any implementation for node X.\n  detail"
    with pytest.raises(UsageError, match="cannot build an engine of 'encoder' here: Could not .* node X$"):
        build(graph())


@pytest.mark.parametrize("null", [True, False])
def test_a_driver_that_is_too_old(trt: Any, null: bool) -> None:
    """TensorRT may answer with no object, or with one that crashes when it is used: neither is used."""
    fake_tensorrt.NEWS.update(start="CUDA initialization failure with error: 35", null=null)
    words = r"cannot start on this GPU \(CUDA init.* error: 35\); error 35 means that the driver is too old"
    with pytest.raises(UsageError, match=words):
        build(graph())


def test_progress(trt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line every so often: which phase, how far, since when."""
    monkeypatch.setattr(tensorrt_build, "SECONDS", 0.02)
    fake_tensorrt.NEWS.update(steps=8, seconds=0.01)
    lines: list[str] = []
    build(graph(), lines=lines)
    assert 1 <= len(lines) <= 6
    assert all(line.startswith("building encoder: Building, ") and " of 8, 0 s so far" in line for line in lines)


def test_ctrl_c_ends_a_build(trt: Any) -> None:
    """At the next step, not at the end of minutes."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins without it
    try:
        _end_a_build_by_ctrl_c()
    finally:
        signal.signal(signal.SIGINT, before)


def _end_a_build_by_ctrl_c() -> None:
    fake_tensorrt.NEWS.update(steps=1000, seconds=0.02)
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        build(graph())
    assert time.monotonic() - begun < 10
    assert not [thread for thread in threading.enumerate() if thread.name == "tensorrt-build" and thread.is_alive()]
    assert fake_tensorrt.BUILT == []


def test_without_tensorrt_or_with_an_old_one(trt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing and what to do, in a sentence."""
    monkeypatch.setattr(trt, "__version__", "8.6.1.post1")
    with pytest.raises(UsageError, match=r"TensorRT 8.6.1.post1 is too old: 10.3 or newer is needed"):
        tensorrt_version()
    monkeypatch.setattr(trt, "__version__", "11.4.0.106")
    assert tensorrt_version() == "11.4.0.106"
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(UsageError, match="TensorRT cannot be used from Python .*install it"):
        tensorrt_version()


def test_arrays_are_aligned_as_the_device_is(trt: Any) -> None:
    """The stand-in's memory is what CUDA's is: 256 bytes apart, and not what anybody has written."""
    device = fake_tensorrt.DEVICE[0]
    device.stack.depth = 1
    allocation = fake_cuda.Allocation(device, 10)
    assert int(allocation) % 256 == 0
    assert np.isnan(device.array(int(allocation), (2,), np.float32)).all()
    with pytest.raises(AssertionError, match="are not of one block"):
        device.array(int(allocation), (11,), np.uint8)
    allocation.free()
