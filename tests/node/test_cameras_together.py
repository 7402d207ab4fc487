# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Two cameras on one worker: one batch for both, nothing lost to the other, orders between frames."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from fake_bundle import make_bundle
from stream_host import RecordingHost
from test_node_parts import Bench, image_message, stamp, until, values

from sdtc_ros.node.loading import load, load_model
from sdtc_ros.node.stream import Arrival, Stream, change_over, restart
from sdtc_ros.node.worker import LiveWorker
from sdtc_ros.pipeline.inference import CropBuffer, infer
from sdtc_ros.types import Boxes


class Cameras:
    """Two streams on one engine and one worker; the detector, which both share, waits for `gate`."""

    def __init__(self, folder: Path) -> None:
        self.gate, self.entered = threading.Event(), threading.Semaphore(0)
        self.batches: list[int] = []
        self.hosts = {"a": RecordingHost(stamp(0)), "b": RecordingHost(stamp(0))}
        self.results = {name: host.results for name, host in self.hosts.items()}
        make_bundle(folder / "bundle")
        loaded = load(values(bundle=str(folder / "bundle"), lookahead=0, max_gap=60.0))
        estimate = loaded.model.engine.estimate
        loaded.model.engine.estimate = lambda windows, moves: (
            self.batches.append(len(windows)), estimate(windows, moves)
        )[1]  # fmt: skip
        loaded = replace(loaded, detector=self.detect)
        self.streams = {name: Stream(loaded.pipeline(), host) for name, host in self.hosts.items()}
        self.errors: list[Exception] = []
        self.worker = LiveWorker(list(self.streams.values()), failed=self.errors.append)
        self.worker.start()

    def detect(self, image: Any) -> Boxes:
        self.entered.release()
        assert self.gate.wait(60)
        return Boxes(np.array([[1, 1, 4, 6]], np.float32), np.ones(1, np.float32))

    def busy_with(self, name: str, number: int) -> None:
        """Have the worker hang in a frame, the gate being shut."""
        self.streams[name].offer(image_message(number))
        assert self.entered.acquire(timeout=60)


def test_the_newest_of_every_camera_is_answered_in_one_batch(tmp_path: Path) -> None:
    bench = Cameras(tmp_path)
    bench.busy_with("a", 0)
    for number in (1, 2):
        for stream in bench.streams.values():
            stream.offer(image_message(number))
    bench.gate.set()
    until(lambda: all(stream.counts.waiting == 0 for stream in bench.streams.values()))
    assert bench.worker.stop(5)
    assert [result.frame.stamp for result in bench.results["a"]] == [stamp(0), stamp(2)]
    assert [result.frame.stamp for result in bench.results["b"]] == [stamp(2)]
    assert bench.batches == [1, 2]
    counts = {name: stream.counts for name, stream in bench.streams.items()}
    assert (counts["a"].received, counts["a"].replaced, counts["a"].answered) == (3, 1, 2)
    assert (counts["b"].received, counts["b"].replaced, counts["b"].answered) == (2, 1, 1)
    assert not bench.errors


def test_one_cameras_damage_does_not_cost_the_others_frame(tmp_path: Path) -> None:
    bench = Cameras(tmp_path)
    bench.busy_with("a", 0)
    bench.streams["a"].offer(image_message(1, "secret7"))
    bench.streams["b"].offer(image_message(1))
    bench.gate.set()
    until(lambda: all(stream.counts.waiting == 0 for stream in bench.streams.values()))
    assert bench.worker.stop(5)
    assert bench.streams["a"].counts.damaged == 1
    assert [result.frame.stamp for result in bench.results["b"]] == [stamp(1)]


def test_orders_are_carried_out_between_frames_or_cancelled(tmp_path: Path) -> None:
    bench = Cameras(tmp_path)
    bench.busy_with("a", 0)
    seen: list[int] = []
    done = bench.worker.between_frames(lambda: seen.append(len(bench.results["a"])))
    wrong = bench.worker.between_frames(lambda: 1 / 0)
    assert not done.done()
    bench.gate.set()
    assert done.result(60) is None
    assert seen == [1], "the frame at work came first"
    with pytest.raises(ZeroDivisionError):
        wrong.result(60)
    bench.gate.clear()
    bench.busy_with("b", 1)
    late = bench.worker.between_frames(lambda: seen.append(2))
    assert not bench.worker.stop(0.05)
    assert late.cancelled()
    assert bench.worker.between_frames(lambda: seen.append(3)).cancelled()
    bench.gate.set()
    assert bench.worker.stop(5)
    assert seen == [1]
    assert not bench.errors


def test_a_restarted_stream_answers_what_waits_and_gives_new_ids(tmp_path: Path) -> None:
    bench = Cameras(tmp_path)
    bench.gate.set()
    stream, results = bench.streams["a"], bench.results["a"]
    for number in range(2):
        stream.offer(image_message(number))
        until(lambda number=number: len(results) == number + 1)
    bench.worker.between_frames(lambda: restart([stream])).result(60)
    stream.offer(image_message(2))
    until(lambda: len(results) == 3)
    ids = [[pose.track_id for pose in result.poses] for result in results]
    assert ids[0] == ids[1] and len(ids[2]) == 1
    assert ids[2][0] > ids[0][0]
    assert bench.worker.stop(5)


class Together:
    """A detector for several images at once; `batches` holds how many it was given each time."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, image: Any) -> Boxes:
        return self.many([image])[0]

    def many(self, images: Sequence[Any]) -> list[Boxes]:
        self.batches.append(len(images))
        return [Boxes(np.array([[1, 1, 4, 6]], np.float32), np.ones(1, np.float32)) for _ in images]


def test_people_of_several_cameras_are_looked_for_in_one_batch(tmp_path: Path) -> None:
    """A camera whose image is damaged, or whose turn to detect it is not, takes no part in it."""
    make_bundle(tmp_path / "bundle")
    loaded = load(values(bundle=str(tmp_path / "bundle"), lookahead=0, max_gap=60.0))
    loaded = replace(loaded, detector=(detector := Together()))
    streams = [Stream(loaded.pipeline(), RecordingHost(stamp(0))) for _ in range(3)]
    worker = LiveWorker(streams, failed=lambda error: None)
    for stream in streams:
        stream.open(lambda arrival: False)
    damaged = image_message(0)
    damaged.data = damaged.data[:3]
    messages = (image_message(0), damaged, image_message(0))
    worker._work({stream: Arrival(message, 0) for stream, message in zip(streams, messages, strict=True)})
    assert detector.batches == [2]
    assert [stream.counts.damaged for stream in streams] == [0, 1, 0]
    assert [stream.counts.answered for stream in streams] == [1, 0, 1]


def test_streams_change_over_together_or_not_at_all(tmp_path: Path) -> None:
    benches = [Bench(tmp_path / name) for name in ("front", "rear")]
    for bench in benches:
        bench.offer_and_wait(image_message(0))
        until(lambda: bench.stream.counts.taken == 1)  # noqa: B023
        assert bench.worker.stop(5)
        bench.stream.open(lambda arrival: False)
        frame = bench.stream.frame_of(Arrival(image_message(1), 0))
        assert frame is not None
        bench.stream.take(*frame, None)
    streams, before = [bench.stream for bench in benches], [bench.stream.pipeline for bench in benches]
    other = load_model(values(bundle=str(make_bundle(tmp_path / "other", delta=1).folder)))
    benches[1].publish = lambda result: 1 / 0
    with pytest.raises(ZeroDivisionError):
        change_over(streams, other)
    assert [stream.pipeline for stream in streams] == before, "no camera may be left on another engine"
    del benches[1].publish
    change_over(streams, other)
    assert {id(stream.pipeline.engine) for stream in streams} == {id(other.engine)}
    assert benches[0].stamps() == [stamp(1)], "what waited is answered once"


@pytest.mark.slow
@pytest.mark.parametrize("failure", [RuntimeError("the engine is on fire"), MemoryError()])
def test_an_engine_that_fails_at_what_waits_costs_no_frame_and_no_track(failure: Exception, tmp_path: Path) -> None:
    benches = [Bench(tmp_path / name) for name in ("front", "rear")]
    streams = [bench.stream for bench in benches]
    for bench in benches:
        assert bench.worker.stop(5)
        bench.stream.open(lambda arrival: False)
        bench.stream.pipeline._detector = lambda image: Boxes(np.array([[1, 1, 4, 6]], np.float32), np.ones(1))

    def send(*numbers: int) -> None:
        for stream, number in product(streams, numbers):
            frame = stream.frame_of(Arrival(image_message(number), 0))
            assert frame is not None
            for one in stream.take(*frame, None):
                stream.publish(infer([one], CropBuffer())[0])

    send(0, 1, 2, 3)
    assert [bench.stamps() for bench in benches] == [[stamp(0), stamp(1)]] * 2
    engine = streams[1].pipeline.engine
    works = engine.estimate
    turns = iter([works, Mock(side_effect=failure)])
    engine.estimate = lambda windows, moves: next(turns)(windows)  # type: ignore[method-assign]
    with pytest.raises(type(failure)):
        restart(streams)
    assert [len(bench.results) for bench in benches] == [4, 3]
    engine.estimate = works  # type: ignore[method-assign]
    send(4, 5)
    restart(streams)
    send(6, 7, 8)
    for bench in benches:
        assert bench.stamps() == [stamp(number) for number in range(7)]
        ids = [result.poses[0].track_id for result in bench.results]
        assert len(set(ids[:6])) == 1, "tracks went on after the failure"
        assert ids[6] > ids[5], "and began anew after the success"
