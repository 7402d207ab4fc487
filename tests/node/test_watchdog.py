# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""When a live stream stops waiting for later frames: after silence, which a model's own slowness is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_bundle import make_bundle
from stream_host import RecordingHost

from sdtc_ros.node.stream import Stream
from sdtc_ros.node.worker import LiveWorker
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.types import Boxes, Frame, FramePoses

MAX_GAP = 0.4


def image_message(number: int) -> Any:
    stamp = SimpleNamespace(sec=100, nanosec=number * 1_000_000)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp, frame_id="cam"), encoding="mono8", height=8, width=8, step=8,
        is_bigendian=0, data=np.full(64, number, np.uint8).tobytes(),
    )  # fmt: skip


class Bench(RecordingHost):
    """A worker whose detector finds nobody."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.errors: list[Exception] = []
        self.answered = threading.Event()
        make_bundle(folder / "bundle")
        pipeline = Pipeline.from_bundle(folder / "bundle", PipelineConfig(max_gap=MAX_GAP), detector=self._detect)
        self.stream = Stream(pipeline, self)
        self.worker = LiveWorker([self.stream], failed=self.errors.append)
        self.worker.start()

    def _detect(self, image: Any) -> Boxes:
        return Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    def published(self, result: FramePoses) -> None:
        self.answered.set()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    assert made.worker.stop(5)
    assert not made.errors


def test_the_time_that_a_frame_is_worked_on_is_no_silence(tmp_path: Path) -> None:
    """The wait for a next frame begins when the work ends, however long that took; the clock is the test's own."""
    now = 100.0
    make_bundle(tmp_path / "bundle")
    nobody = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    pipeline = Pipeline.from_bundle(tmp_path / "bundle", PipelineConfig(max_gap=MAX_GAP))
    stream = Stream(pipeline, RecordingHost(), clock=lambda: now)
    stream.take(Frame(np.zeros((8, 8, 3), np.uint8), 1), nobody, None)
    now += 2 * MAX_GAP
    stream.worked(2 * MAX_GAP)
    assert stream.time_left() == pytest.approx(MAX_GAP)
    now += MAX_GAP
    assert stream.time_left() == 0


@pytest.mark.slow
def test_max_wait_stands_in_for_max_gap(bench: Bench) -> None:
    bench.max_wait = 60.0
    bench.stream.offer(image_message(0))
    assert not bench.answered.wait(3 * MAX_GAP)
    assert bench.stream.counts.taken == 1
    bench.max_wait = 0.001
    bench.stream.offer(image_message(1))
    assert bench.answered.wait(20)
