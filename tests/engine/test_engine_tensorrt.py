# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""TensorRT's runtime up to the driver: the device engine over it, with stand-ins for tensorrt, pycuda and libcuda."""

from __future__ import annotations

import gc
import sys
import threading
from pathlib import Path
from typing import Any

import fake_cuda
import fake_tensorrt
import fake_tensorrt_runtime
import numpy as np
import pytest
from fake_bundle import TINY_BUNDLE, make_bundle
from fake_cuda import Device

from sdtc_ros.crops import crop_images
from sdtc_ros.engine import select as choose
from sdtc_ros.engine.base import batches_up_to
from sdtc_ros.engine.cache import Cache
from sdtc_ros.engine.device import DeviceEngine
from sdtc_ros.engine.graphs import cut_grid
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.engine.trt import cuda
from sdtc_ros.engine.trt.device import TensorRTRuntime, open_tensorrt
from sdtc_ros.errors import UsageError
from sdtc_ros.models.bundle import Bundle, load_bundle

Lines = list[str]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The stand-ins; whatever was lost in a thread without the context fails the test."""
    device = fake_cuda.install(monkeypatch)
    fake_tensorrt_runtime.install(monkeypatch, device)
    yield device
    gc.collect()
    cuda.open_gpu.cache_clear()
    assert device.lost == []
    assert device.depth() == 0


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "bundle")


def open_it(bundle: Bundle, folder: Path, max_batch: int = 8) -> tuple[DeviceEngine, Lines]:
    lines: Lines = []
    return open_tensorrt(bundle, "fp32", lines.append, Cache(folder, lines.append), max_batch), lines


def crops_of(count: int, size: tuple[int, int] = (24, 32)) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, size[1], size[0], 3), dtype=np.uint8)


def test_batches() -> None:
    """Powers of two up to the largest, which need be none."""
    assert batches_up_to(64) == [1, 2, 4, 8, 16, 32, 64]
    assert batches_up_to(1) == [1]
    assert batches_up_to(2) == [1, 2]
    assert batches_up_to(6) == [1, 2, 4, 6]


@pytest.mark.parametrize("max_batch", [1, 3, 8])
def test_it_gives_what_the_reference_gives(device: Device, bundle: Bundle, tmp_path: Path, max_batch: int) -> None:
    """Any number of people, in any order, again and again, while the pool of tokens grows."""
    engine, _ = open_it(bundle, tmp_path, max_batch)
    reference = OnnxEngine(bundle, threads=1)
    ours, theirs = [], []
    random = np.random.default_rng(7)
    for count in (1, 7, 2, 8, 70, 3, 1):
        crops = crops_of(count)
        ours += engine.encode(crops)
        theirs += reference.encode(crops)
        order = random.integers(0, len(ours), (count, 5))
        found = engine.estimate([[ours[i] for i in row] for row in order])
        wanted = reference.estimate([[theirs[i] for i in row] for row in order])
        np.testing.assert_allclose(found[0], wanted[0], rtol=1e-6)
        np.testing.assert_array_equal(found[1], wanted[1])
    assert device.captures > 0
    assert device.launches > 0


def test_crops_are_cut_on_the_device(device: Device, bundle: Bundle, tmp_path: Path) -> None:
    """Frames of several sizes; the crops are those of crop_images, in chunks of the largest batch."""
    engine, _ = open_it(bundle, tmp_path)
    reference = OnnxEngine(bundle, threads=1)
    random = np.random.default_rng(3)
    cuts = []
    for height, width, people in ((40, 64, 3), (48, 50, 9), (40, 64, 1)):
        image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        boxes = random.uniform([-10, -10, 8, 8], [50, 30, 60, 70], (people, 4)).astype(np.float32)
        cuts.append((image, boxes))
    crops = np.concatenate([crop_images(image, boxes, (24, 32)) for image, boxes in cuts])
    for _ in range(2):
        ours, theirs = engine.encode_from(cuts), reference.encode(crops)
        assert len(ours) == len(theirs) == 13
        found = engine.estimate([[handle] * 5 for handle in ours])
        wanted = reference.estimate([[handle] * 5 for handle in theirs])
        np.testing.assert_allclose(found[0], wanted[0], rtol=1e-6)


def test_addresses_that_tensorrt_would_refuse(device: Device, tmp_path: Path) -> None:
    """Crops of 1800 bytes one after the other, a frame's second half: 256 bytes do not divide them."""
    bundle = make_bundle(tmp_path / "bundle", size=(20, 30))
    engine, _ = open_it(bundle, tmp_path)
    image = np.random.default_rng(1).integers(0, 256, (40, 64, 3), dtype=np.uint8)
    other = image[::-1].copy()
    boxes = np.array([[5, 5, 20, 30]], np.float32)
    engine.encode_from([(image, boxes), (other, boxes)])
    crops = np.concatenate([crop_images(image, boxes, (20, 30)), crop_images(other, boxes, (20, 30))])
    start = engine._crops.pointer
    np.testing.assert_array_equal(device.array(start, crops.shape, np.uint8), crops)
    runtime = engine._runtime
    pixels = runtime.upload(image.reshape(-1, 3))
    lower = {"pixels": pixels.rows(64 * 20 + 1, 64 * 19), "size": np.array([19, 64], np.int64)}
    x, y = cut_grid(boxes, (20, 30))
    found = runtime.run("cut", {**lower, "x_32": x, "y_32": y}, {"crops": None})["crops"]
    shifted = image.reshape(-1, 3)[64 * 20 + 1 : 64 * 39 + 1].reshape(19, 64, 3)
    np.testing.assert_array_equal(found, crop_images(np.ascontiguousarray(shifted), boxes, (20, 30)))


def test_every_call_waits_for_its_end(device: Device, bundle: Bundle, tmp_path: Path) -> None:
    """The caller may overwrite what it gave, and read what it asked for."""
    engine, _ = open_it(bundle, tmp_path)
    runtime = engine._runtime
    arrays = [np.full((100, 3), value, np.uint8) for value in (1, 2)]
    views = [runtime.upload(array) for array in arrays]
    runtime.copy(views[0], target := runtime.allocate((100, 3), np.dtype(np.uint8)))
    for view, value in ((views[0], 1), (views[1], 2), (target, 1)):
        assert (device.array(view.pointer, view.shape, np.uint8) == value).all()


@pytest.mark.slow
def test_the_shipped_model(device: Device, tmp_path: Path) -> None:
    """The real graphs: keypoints as the reference's."""
    bundle = load_bundle(TINY_BUNDLE)
    engine, _ = open_it(bundle, tmp_path, max_batch=2)
    reference = OnnxEngine(bundle, threads=1)
    crops = crops_of(3, bundle.input_size)
    ours, theirs = engine.encode(crops), reference.encode(crops)
    for _ in range(3):
        found = engine.estimate([[ours[i] for i in (0, 1, 2, 1, 0)]] * 3)
        wanted = reference.estimate([[theirs[i] for i in (0, 1, 2, 1, 0)]] * 3)
        np.testing.assert_allclose(found[0], wanted[0], atol=2e-3)
    assert device.launches > 0


@pytest.mark.slow
def test_the_gate_lets_it_pass(device: Device, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the door that everybody uses: opened, gated, its verdict and its engines kept for the next start."""
    monkeypatch.setattr(choose, "gpus", cuda.gpus)
    lines: Lines = []
    for _ in range(2):
        engine = choose.open_engine(
            bundle, choose.EngineConfig("tensorrt-direct", "fp32"), report=lines.append, cache=Cache(tmp_path)
        )
        assert isinstance(engine, DeviceEngine)
        assert engine.providers == ["tensorrt-direct", "TensorRT 10.3.0", "Fake GPU"]
    assert [line.split(" for ")[0] for line in lines] == [
        f"building the TensorRT engine of '{name}'" for name in ("cut", "encoder", "temporal")
    ]
    assert {entry.what for entry in Cache(tmp_path).entries()} >= {"deviation", "encoder.fp32", "timing"}


def test_a_captured_graph_is_launched_while_nothing_changes(device: Device, bundle: Bundle, tmp_path: Path) -> None:
    """Plain, captured and launched, launched; a pool that has grown lies elsewhere and is captured anew."""
    engine, _ = open_it(bundle, tmp_path)
    handles = engine.encode(crops_of(2))
    engine.estimate([handles[:1] * 5])  # the second time at batch 1: the warm-up was the first
    before = device.captures, device.launches
    engine.estimate([handles[1:] * 5])
    assert (device.captures, device.launches) == (before[0], before[1] + 1)
    kept = [engine.encode(crops_of(8)) for _ in range(9)]
    captures = device.captures
    engine.estimate([kept[-1][:1] * 5])
    engine.estimate([kept[-1][:1] * 5])
    assert device.captures == captures + 1


def test_without_cuda_graphs(device: Device, bundle: Bundle, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A graph that cannot be captured runs plainly, said once."""
    device.refuse_capture = True
    engine, _ = open_it(bundle, tmp_path)
    reference = OnnxEngine(bundle, threads=1)
    crops = crops_of(1)
    for _ in range(4):
        handles = engine.encode(crops)
        found = engine.estimate([handles * 5])
    np.testing.assert_allclose(found[0], reference.estimate([reference.encode(crops) * 5])[0], rtol=1e-6)
    assert [record.message.split(":")[0] for record in caplog.records] == [
        f"'{name}' runs without a CUDA graph (slightly slower)" for name in ("encoder", "temporal")
    ]
    assert device.launches == 0


def test_made_in_one_thread_used_and_dropped_in_another(device: Device, bundle: Bundle, tmp_path: Path) -> None:
    """As the node does; pycuda would lose memory that another thread drops."""
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(open_it(bundle, tmp_path)[0]))
    thread.start()
    thread.join()
    engine = made.pop()
    handles = engine.encode(crops_of(5))
    image = np.zeros((40, 64, 3), np.uint8)
    handles += engine.encode_from([(image, np.array([[1, 1, 20, 30]], np.float32))])
    assert engine.estimate([handles[:5]])[0].shape == (1, 15, 3)
    used = device.used()
    dropping = [engine, handles, image]
    del engine, handles, image

    def drop() -> None:
        dropping.clear()
        gc.collect()

    thread = threading.Thread(target=drop)
    thread.start()
    thread.join()
    assert used > 0
    assert device.used() == 0
    assert device.depth() == 0
    assert device.graphs == {}


def test_frames_use_the_same_memory_again(device: Device, bundle: Bundle, tmp_path: Path) -> None:
    """An hour of video holds no more memory than its first second."""
    engine, _ = open_it(bundle, tmp_path)
    used = set()
    for _ in range(20):
        image = np.zeros((40, 64, 3), np.uint8)
        engine.encode_from([(image, np.array([[1, 1, 20, 30]], np.float32))])
        used.add(device.used())
    assert len(used) == 1


def test_the_second_start_builds_nothing(device: Device, bundle: Bundle, tmp_path: Path) -> None:
    """The first says how far it is; another TensorRT builds anew and says why."""
    _, lines = open_it(bundle, tmp_path)
    built = ["cut", "encoder", "temporal"]
    assert built == fake_tensorrt.BUILT
    said = "building the TensorRT engine of '{}' for Fake GPU: this takes minutes, once"
    assert lines == [said.format(name) for name in built]
    _, lines = open_it(bundle, tmp_path)
    assert built == fake_tensorrt.BUILT
    assert lines == []
    open_it(bundle, tmp_path, max_batch=4)
    assert len(fake_tensorrt.BUILT) == 6


@pytest.mark.parametrize("change", ["tensorrt", "gpu", "bundle"])
def test_what_does_not_fit_is_said_and_built_anew(
    device: Device, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Another TensorRT, GPU or bundle than those that built the engine."""
    import tensorrt

    open_it(bundle, tmp_path)
    if change == "tensorrt":
        monkeypatch.setattr(tensorrt, "__version__", "11.4.0")
        monkeypatch.setattr(fake_tensorrt, "VERSION", ["11.4.0"])
        wanted = "tensorrt 10.3.0, now 11.4.0"
    elif change == "gpu":
        cuda.open_gpu.cache_clear()
        monkeypatch.setattr(cuda, "gpus", lambda: [fake_cuda.GpuInfo("NVIDIA H200", "8.7", 1, "12.6")])
        wanted = "gpu Fake GPU, now NVIDIA H200"
    else:
        bundle = make_bundle(tmp_path / "other", size=(48, 64))
        wanted = "bundle "
    engine, lines = open_it(bundle, tmp_path)
    said = [line for line in lines if "does not match" in line]
    assert len(said) == 3
    assert all(wanted in line for line in said)
    assert len(fake_tensorrt.BUILT) == 6
    timings = [entry for entry in Cache(tmp_path).entries() if entry.what == "timing"]
    assert len(timings) == (1 if change == "bundle" else 2)  # those of another GPU or TensorRT are not true here
    assert engine.estimate([engine.encode(crops_of(1, bundle.input_size)) * 5])[0].shape == (1, 15, 3)


def test_an_engine_that_tensorrt_refuses_is_built_anew(
    device: Device, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same version by name, another by nature: said, and never loaded."""
    first, same = (open_it(bundle, tmp_path)[0].identity for _ in range(2))
    monkeypatch.setattr(fake_tensorrt, "VERSION", ["10.3.0 of another CUDA"])
    anew, lines = open_it(bundle, tmp_path)
    assert first == same != anew.identity  # so that it is judged anew
    assert lines[0] == "TensorRT refuses the cached engine of 'cut' (built by 10.3.0); rebuilding it"
    assert len(fake_tensorrt.BUILT) == 6
    fake_tensorrt.NEWS["load"] = "no such thing"
    with pytest.raises(UsageError, match="refuses the engine it has just built for 'cut': no such thing"):
        open_it(bundle, tmp_path)


def test_a_full_gpu_is_one_sentence_and_costs_no_engine(device: Device, bundle: Bundle, tmp_path: Path) -> None:
    """At loading, at building, at running: how much is free and what to do; cached engines stay."""
    engine, _ = open_it(bundle, tmp_path)
    built = list(fake_tensorrt.BUILT)
    device.limit = device.used() + 1000
    with pytest.raises(UsageError, match=r"the GPU Fake GPU has too little memory left \(0 MiB of \d+ MiB are free\)"):
        engine.encode_from([(np.zeros((400, 640, 3), np.uint8), np.array([[1, 1, 20, 30]], np.float32))])
    device.limit = fake_cuda.GIB
    assert len(engine.encode(crops_of(2))) == 2
    fake_tensorrt.NEWS["load"] = "[defaultAllocator.cpp] Error Code 1: Cuda Runtime (out of memory)"
    with pytest.raises(UsageError, match="too little memory left"):
        open_it(bundle, tmp_path)
    fake_tensorrt.NEWS.clear()
    open_it(bundle, tmp_path)
    assert built == fake_tensorrt.BUILT
    fake_tensorrt.NEWS["fail"] = "There may not be enough free memory for allocation to succeed."
    with pytest.raises(UsageError, match="too little memory left"):
        open_it(bundle, tmp_path / "new")
    assert not [*(tmp_path / "new").iterdir()]


def test_a_gpu_that_fails_is_one_sentence(device: Device, bundle: Bundle, tmp_path: Path) -> None:
    """An illegal address, a lost card: no traceback of the driver's."""
    engine, _ = open_it(bundle, tmp_path)
    device.refuse_launch = True
    with pytest.raises(UsageError, match=r"the GPU Fake GPU failed \(cuGraphLaunch: CUDA error 719\)"):
        engine.encode(crops_of(1))


def test_without_pycuda(device: Device, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing and what to do."""
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(UsageError, match="pycuda cannot be used .* or choose provider 'tensorrt', 'cuda' or 'cpu'"):
        open_it(bundle, tmp_path)


def test_too_large_a_frame_and_too_large_a_batch(device: Device, bundle: Bundle, tmp_path: Path) -> None:
    """Beyond what was built for: a sentence, no wrong poses."""
    engine, _ = open_it(bundle, tmp_path)
    image = np.zeros((4000, 2400, 3), np.uint8)
    with pytest.raises(
        UsageError, match=r"could not take 'pixels' of shape \[9600000, 3\] in 'cut': pixels: .* not in"
    ):
        engine.encode_from([(image, np.array([[1, 1, 20, 30]], np.float32))])
    assert len(engine.encode(crops_of(2))) == 2
    runtime = engine._runtime
    assert isinstance(runtime, TensorRTRuntime)
    with pytest.raises(UsageError, match="'encoder' was built for batches up to 8, not 9"):
        runtime.run("encoder", {"crops": crops_of(9)}, {"tokens": None})
