# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The device engine on ONNX Runtime's CPU device: the same poses as the host engine's, to the bit, and no slot lost."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
from counting_runtime import CountingRuntime, session
from fake_bundle import TINY_BUNDLE, make_bundle
from pipeline_scenes import run, scene

from sdtc_ros.crops import crop_boxes, crop_images
from sdtc_ros.engine.base import CuttingEngine
from sdtc_ros.engine.device import POOL_SLOTS, DeviceEngine, TokenPool
from sdtc_ros.engine.failures import GraphError
from sdtc_ros.engine.graphs import cut_graph, cut_grid
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.models.bundle import load_bundle
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig


@pytest.mark.parametrize("size", [(96, 128), (192, 256)])
def test_crops_are_those_of_the_host_to_the_bit(size: tuple[int, int]) -> None:
    """Inside, across every border and beyond; smaller and larger than the crop; several sizes of image."""
    random = np.random.default_rng(3)
    graph = session("cut", cut_graph(size))
    for height, width in ((48, 64), (301, 517)):
        image = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        corner = random.uniform(-0.4, 1.0, (24, 2)) * [width, height]
        boxes = np.concatenate([corner, random.uniform(0.02, 1.5, (24, 1)) * [width * 0.75, width]], axis=1)
        boxes = np.concatenate([boxes, [[0, 0, width, height], [5 * width, 0, 30, 40]]]).astype(np.float32)
        x, y = cut_grid(boxes, size)
        feeds = {"pixels": image.reshape(-1, 3), "size": np.array([height, width]), "x_32": x, "y_32": y}
        (crops,) = graph.run(None, feeds)
        np.testing.assert_array_equal(crops, crop_images(image, boxes, size))
        assert crops[:24].any() and not crops[25].any()


@pytest.mark.parametrize("max_batch", [64, 3])
def test_moves_reach_the_graph(tmp_path: Path, max_batch: int) -> None:
    """Of windows in chunks too, and of people whose crops move on."""
    bundle = make_bundle(tmp_path, moves=True)
    clip, config = scene(9, 5, lost=0.2), PipelineConfig(crop_drift_threshold=0.02)
    expected = run(Pipeline(bundle, OnnxEngine(bundle, threads=1, max_batch=max_batch), config), clip)
    found = run(Pipeline(bundle, DeviceEngine(bundle, CountingRuntime(bundle), max_batch), config), clip)
    for one, other in zip(found, expected, strict=True):
        for pose, wanted in zip(one.poses, other.poses, strict=True):
            np.testing.assert_array_equal(pose.keypoints, wanted.keypoints)


@pytest.mark.parametrize("max_batch", [64, 3])
@pytest.mark.slow
def test_a_pipeline_gives_the_same_poses_to_the_bit(max_batch: int) -> None:
    """The shipped model on people that wander, come and go; in chunks too, where a window's slots lie anywhere."""
    bundle = load_bundle(TINY_BUNDLE)
    clip = scene(9, 5, lost=0.2)
    config = PipelineConfig(crop_drift_threshold=0.2)
    expected = run(Pipeline(bundle, OnnxEngine(bundle, threads=1, max_batch=max_batch), config), clip)
    found = run(Pipeline(bundle, DeviceEngine(bundle, CountingRuntime(bundle), max_batch), config), clip)
    assert sum(len(answer.poses) for answer in expected) > 30
    for one, other in zip(found, expected, strict=True):
        assert [pose.track_id for pose in one.poses] == [pose.track_id for pose in other.poses]
        for pose, wanted in zip(one.poses, other.poses, strict=True):
            np.testing.assert_array_equal(pose.keypoints, wanted.keypoints)
            np.testing.assert_array_equal(pose.covariance, wanted.covariance)


def test_a_frame_is_uploaded_once_and_no_crop_is(tmp_path: Path) -> None:
    """With a threshold of 0 every crop moves, each frame is cut up to five times, uploaded once, then released."""
    bundle = make_bundle(tmp_path)
    runtime = CountingRuntime(bundle)
    engine = DeviceEngine(bundle, runtime)
    assert isinstance(engine, CuttingEngine) and not isinstance(OnnxEngine(bundle, threads=1), CuttingEngine)
    clip = scene(8, 3)
    pipeline = Pipeline(bundle, engine, PipelineConfig(crop_drift_threshold=0.0))
    answers = run(pipeline, clip)
    assert runtime.uploads == [(180 * 240, 3)] * 8
    assert sum(count for graph, count in runtime.runs if graph == "cut") > 8 * 3 * 3
    del clip, pipeline, answers
    gc.collect()
    assert not engine._uploaded and engine._pool.free.all()


def test_another_image_at_the_same_address_is_another_frame(tmp_path: Path) -> None:
    """What is kept by identity must not outlive the object: Python gives its id to the next one."""
    bundle = make_bundle(tmp_path)
    engine = DeviceEngine(bundle, CountingRuntime(bundle))
    boxes = crop_boxes(np.array([[0, 0, 24, 32]], np.float32), 24 / 32)
    for value in range(20):
        image = np.full((40, 40, 3), value, np.uint8)
        (handle,) = engine.encode_from([(image, boxes)])
        assert engine.estimate([[handle] * 5])[0].max() <= value * 1.01
        (again,) = engine.encode_from([(image, boxes)])
        np.testing.assert_array_equal(engine.estimate([[handle] * 5])[0], engine.estimate([[again] * 5])[0])
        del image


def test_the_pool_grows_and_keeps_what_it_holds(tmp_path: Path) -> None:
    """More crops than slots: the old tokens stay where their handles say; dropped handles are used again."""
    bundle = make_bundle(tmp_path)
    engine, reference = DeviceEngine(bundle, CountingRuntime(bundle)), OnnxEngine(bundle, threads=1)
    crops = np.random.default_rng(0).integers(0, 256, (3 * POOL_SLOTS, 32, 24, 3), dtype=np.uint8)
    handles, wanted = engine.encode(crops), reference.encode(crops)
    assert len(engine._pool.free) == 4 * POOL_SLOTS and engine._pool.free.sum() == POOL_SLOTS
    order = np.random.default_rng(1).integers(0, 3 * POOL_SLOTS, (70, 5))
    found, covariance = engine.estimate([[handles[i] for i in row] for row in order])
    expected, _ = reference.estimate([[wanted[i] for i in row] for row in order])
    np.testing.assert_array_equal(found, expected)
    assert covariance.shape == (70, 15, 3)
    del handles[::2]  # every second slot is free: no run is longer than one
    for _ in range(5):
        assert len(engine.encode(crops[:POOL_SLOTS])) == POOL_SLOTS
    assert len(engine._pool.free) <= 8 * POOL_SLOTS


def test_a_pool_in_pieces_gives_pieces(tmp_path: Path) -> None:
    """A pool that is mostly free does not grow because its free slots lie apart; tokens still go where they must."""
    bundle = make_bundle(tmp_path)
    engine, reference = DeviceEngine(bundle, CountingRuntime(bundle)), OnnxEngine(bundle, threads=1)
    crops = np.random.default_rng(0).integers(0, 256, (POOL_SLOTS, 32, 24, 3), dtype=np.uint8)
    kept = engine.encode(crops)[::8]  # 8 of 64 in use, runs of 7 between them
    handles = engine.encode(crops[:8])
    assert len(engine._pool.free) == POOL_SLOTS and len({h.number for h in (*kept, *handles)}) == 16
    expected = reference.encode(crops[:8])
    found = engine.estimate([handles[:5], handles[3:]])[0]
    np.testing.assert_array_equal(found, reference.estimate([expected[:5], expected[3:]])[0])


def test_crops_cut_on_the_device_go_to_the_pieces_in_order(tmp_path: Path) -> None:
    """Of crops that lie in device memory, each piece takes the next ones."""
    bundle = make_bundle(tmp_path)
    engine, reference = DeviceEngine(bundle, CountingRuntime(bundle)), OnnxEngine(bundle, threads=1)
    random = np.random.default_rng(0)
    kept = engine.encode(random.integers(0, 256, (POOL_SLOTS, 32, 24, 3), dtype=np.uint8))[::8]
    image = random.integers(0, 256, (200, 300, 3), dtype=np.uint8)
    boxes = np.array([[10 * i, 5 * i, 48, 64] for i in range(8)], np.float32)
    handles = engine.encode_from([(image, boxes)])
    assert len({handle.number for handle in (*kept, *handles)}) == 16
    expected = reference.encode(crop_images(image, boxes, (24, 32)))
    wanted, _ = reference.estimate([[handle] * 5 for handle in expected])
    np.testing.assert_array_equal(engine.estimate([[handle] * 5 for handle in handles])[0], wanted)


def test_a_failed_run_loses_no_slot(tmp_path: Path) -> None:
    """Slots are occupied when their tokens are there."""
    bundle = make_bundle(tmp_path)
    engine = DeviceEngine(bundle, CountingRuntime(bundle))
    with pytest.raises(GraphError, match=r"^provider 'cpu' failed: .*(?i:invalid dimensions)"):
        engine.encode(np.zeros((2, 7, 7, 3), np.uint8))
    assert engine._pool.free.all()


def test_runs_are_of_free_slots_only() -> None:
    """First fit, whole where possible."""
    pool = TokenPool.__new__(TokenPool)
    pool.free = np.array([1, 1, 0, 1, 1, 1, 0, 1], bool)
    assert pool._free_runs()[0].tolist() == [0, 3, 7] and pool._free_runs()[1].tolist() == [2, 3, 1]
    assert pool.take(3) == [(3, 3)]
    assert pool._pieces(*pool._free_runs(), 5) == [(3, 3), (0, 2)]
