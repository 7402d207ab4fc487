# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Frames wait for later ones in time, not in frames that were worked on; every frame taken is answered, in order."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_bundle import make_bundle
from stream_host import RecordingHost
from test_node_parts import image_message, stamp

from sdtc_ros.node.loading import pipeline_config
from sdtc_ros.node.lookahead import AUTOMATIC
from sdtc_ros.node.parameters import PARAMETERS
from sdtc_ros.node.stream import BOXES, Arrival, Stream
from sdtc_ros.pipeline.inference import CropBuffer, infer
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.types import Boxes, Frame


class Bench(RecordingHost):
    """A stream by hand, on a clock by hand: a camera at 30 Hz, and a node that needs `work` camera periods a frame."""

    def __init__(self, folder: Path, wait: float, boxes: Boxes | None = None) -> None:
        super().__init__()
        self.clock, self.lookahead_wait, self.number = 100.0, wait, 0
        self.taken: list[int] = []
        self.boxes = boxes or Boxes(np.array([[1, 1, 4, 6]], np.float32), np.ones(1, np.float32))
        self.people_move = False
        make_bundle(folder / "bundle")
        pipeline = Pipeline.from_bundle(folder / "bundle", PipelineConfig(max_gap=60.0), detector=self._detect)
        self.stream = Stream(pipeline, self, lambda: self.clock)
        self.stream.open(lambda arrival: False)

    def _detect(self, image: Any) -> Boxes:
        away = 2.0 * (len(self.taken) % 2) * self.people_move  # there and back, further than a crop may drift
        return replace(self.boxes, xywh=self.boxes.xywh + np.array([away, 0, 0, 0], np.float32))

    def now(self) -> int:
        return stamp(self.number)

    def run(self, frames: int, work: int, matched: bool = True) -> list[int]:
        """Work on so many frames; how many periods each result of them had waited for.

        matched: whether the frames that are not worked on could have been: boxes came for them.
        """
        begun = len(self.results)
        for _ in range(frames):
            for left in reversed(range(work)):
                self.clock += 1 / 30
                self.number += 1
                if self.stream.receive():
                    self.stream.pass_on(None) if matched or not left else self.stream.leave_unmatched()
            self.taken.append(self.number)
            frame = self.stream.frame_of(Arrival(image_message(self.number), 0))
            assert frame is not None
            pending = self.stream.take(*frame, None)
            for result in infer(pending, CropBuffer()):
                self.stream.publish(result)
        return self.answered()[begun:]

    def answered(self) -> list[int]:
        return [(result.frame.stamp - stamp(0)) // (stamp(1) - stamp(0)) for result in self.results]


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    return partial(Bench, tmp_path)


@pytest.mark.slow
def test_a_node_that_keeps_up_waits_for_all_frames(bench: Any) -> None:
    camera = bench(AUTOMATIC)
    camera.run(20, work=1)
    assert camera.stream.pipeline.lookahead == 2
    assert camera.answered() == list(range(1, 19))


@pytest.mark.parametrize("wait", [AUTOMATIC, 0.1])
@pytest.mark.slow
def test_a_slow_node_answers_at_once_and_loses_no_frame_that_it_took(bench: Any, wait: float) -> None:
    camera = bench(wait)
    camera.run(20, work=10)
    assert camera.stream.pipeline.lookahead == 0
    assert camera.answered() == camera.taken
    camera.run(20 if wait > 0 else 100, work=1)  # it keeps up again
    assert camera.stream.pipeline.lookahead == 2
    assert camera.answered() == camera.taken[:-2]
    camera.run(12, work=2)
    waits = 1 if wait > 0 else 0  # with one frame more, automatically, an answer would be four periods old
    assert camera.stream.pipeline.lookahead == waits
    assert camera.answered() == camera.taken[: len(camera.taken) - waits]
    assert camera.stream.counts.answered == len(camera.taken) - waits


def test_a_node_that_falls_behind_encodes_each_person_once_a_frame(bench: Any) -> None:
    camera = bench(AUTOMATIC)
    ring, encoded = camera.stream.pipeline.ring, list[int]()
    encode = camera.stream.pipeline.engine.encode
    camera.stream.pipeline.engine.encode = lambda crops: encoded.append(len(crops)) or encode(crops)
    camera.people_move = True
    camera.run(8, work=10)
    assert ring.alone
    encoded.clear()
    camera.run(6, work=10)
    assert encoded == [1] * 6
    camera.run(100, work=1)
    assert not ring.alone
    encoded.clear()
    camera.run(6, work=1)
    assert encoded == [5] * 6


def test_a_detector_that_skips_images_is_a_slower_camera_not_a_node_that_falls_behind(bench: Any) -> None:
    camera = bench(AUTOMATIC)
    camera.run(20, work=3, matched=False)
    assert not camera.stream.pipeline.ring.alone
    assert camera.stream.pipeline.lookahead == 2
    assert camera.answered() == camera.taken[:-2]
    assert camera.stream.counts.waiting == 2


def test_without_a_bound_it_waits_for_all_frames_however_slow(bench: Any) -> None:
    camera = bench(3600.0)
    camera.run(12, work=10)
    assert camera.answered() == camera.taken[:-2]
    assert not camera.stream.pipeline.ring.alone


def test_boxes_that_are_none_are_counted_and_told(bench: Any) -> None:
    """As large as a galaxy, as small as a thousandth of a pixel: another unit, or a defect."""
    boxes = np.array([[1, 1, 4, 6], [0, 0, 1e30, 1e30], [2, 2, 0.001, 0.001], [2, 2, np.nan, 4]], np.float32)
    camera = bench(AUTOMATIC, Boxes(boxes, np.ones(4, np.float32)))
    camera.run(3, work=1)
    assert camera.stream.counts.invalid_boxes == 9
    assert [len(result.poses) for result in camera.results] == [1]
    (about, sentence) = camera.warnings[0]
    assert about == BOXES
    assert "3 person boxes of the frame of stamp" in sentence


@pytest.mark.parametrize(("detector", "people"), [("topic", 2), ("person", 1)])
def test_boxes_that_others_give_all_have_their_pose_however_weak(tmp_path: Path, detector: str, people: int) -> None:
    values = {parameter.name: parameter.default for parameter in PARAMETERS} | {"detector": detector, "lookahead": 0}
    make_bundle(tmp_path / "bundle")
    pipeline = Pipeline.from_bundle(tmp_path / "bundle", pipeline_config(values))
    boxes = Boxes(np.array([[1, 1, 3, 6], [5, 1, 3, 6]], np.float32), np.array([0.9, 0.25], np.float32))
    results = [pipeline.process(Frame(np.zeros((8, 8, 3), np.uint8), stamp(n)), boxes) for n in range(3)]
    assert [len(result.poses) for result in results if result] == [people] * 3
    assert len({pose.track_id for result in results if result for pose in result.poses}) == (4 if people == 2 else 1)
