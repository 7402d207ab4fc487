# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The live worker without ROS: newest wins, every frame accounted for, silence and damage survived."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_bundle import make_bundle
from stream_host import RecordingHost

from sdtc_ros.detection.boxes import no_boxes
from sdtc_ros.errors import UsageError
from sdtc_ros.node.health.statistics import Counts, Report, quantile
from sdtc_ros.node.health.watchdog import Silence, Watchdog
from sdtc_ros.node.loading import load
from sdtc_ros.node.parameters import PARAMETERS, check_all
from sdtc_ros.node.stream import Stream
from sdtc_ros.node.worker import Inbox, LiveWorker
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.types import FramePoses


def image_message(number: int, encoding: str = "bgr8") -> Any:
    stamp = SimpleNamespace(sec=100 + number // 10, nanosec=number % 10 * 100_000_000)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp, frame_id="cam"), encoding=encoding, height=8, width=8, step=24,
        is_bigendian=0, data=np.full(8 * 8 * 3, number % 256, np.uint8).tobytes(),
    )  # fmt: skip


def stamp(number: int) -> int:
    return 100_000_000_000 + number * 100_000_000


class Bench(RecordingHost):
    """A worker with its outputs recorded; `gate` holds the detector, and so the worker, while it is not set."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.gate, self.entered = threading.Event(), threading.Semaphore(0)
        self.gate.set()
        super().__init__(stamp(0))
        self.errors: list[Exception] = []
        make_bundle(folder / "bundle")
        pipeline = Pipeline.from_bundle(
            folder / "bundle", PipelineConfig(**{"max_gap": 60.0, **config}), detector=self.detect
        )
        self.stream = Stream(pipeline, self)
        self.worker = LiveWorker([self.stream], failed=self.errors.append)
        self.worker.start()

    def detect(self, image: Any) -> Any:
        self.entered.release()
        assert self.gate.wait(60)
        return no_boxes()

    def stamps(self) -> list[int]:
        return [result.frame.stamp for result in self.results]

    def offer_and_wait(self, message: Any) -> None:
        self.stream.offer(message)
        until(lambda: not self.worker._inbox._items)
        assert self.entered.acquire(timeout=60)


def values(**given: Any) -> dict[str, Any]:
    return {parameter.name: parameter.default for parameter in PARAMETERS} | given


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.002)


def test_newest_frame_wins_and_the_sum_holds(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lookahead=0)
    bench.gate.clear()
    bench.offer_and_wait(image_message(0))  # at work now
    for number in (1, 2, 3):
        bench.stream.offer(image_message(number))
    assert (bench.stream.counts.replaced, bench.stream.counts.waiting) == (2, 2)
    bench.gate.set()
    until(lambda: bench.stream.counts.waiting == 0)
    assert bench.stamps() == [stamp(0), stamp(3)]
    assert bench.worker.stop(5)
    counts = bench.stream.counts
    assert (counts.received, counts.answered, counts.replaced) == (4, 2, 2)


def test_silence_answers_the_frames_that_wait_for_a_future(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_gap=0.3)
    for number in range(4):
        bench.offer_and_wait(image_message(number))
    until(lambda: bench.stream.counts.waiting == 0)
    assert bench.stamps() == [stamp(number) for number in range(4)]
    for number in range(4, 7):
        bench.offer_and_wait(image_message(number))  # and the stream goes on
    until(lambda: len(bench.results) == 7)
    assert bench.stamps() == [stamp(number) for number in range(7)]
    assert bench.worker.stop(5)
    assert not bench.errors


def test_a_shorter_patience_counts_for_a_worker_that_waits_already(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for number in range(4):
        bench.offer_and_wait(image_message(number))
    until(lambda: len(bench.results) == 2)
    bench.max_wait = 0.01
    bench.worker.wake()
    until(lambda: bench.stream.counts.waiting == 0)
    assert bench.stamps() == [stamp(number) for number in range(4)]
    assert bench.worker.stop(5)


def test_damage_and_age_are_counted_and_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lookahead=0)
    bench.stream.offer(image_message(0, "secret7"))
    until(lambda: bench.stream.counts.damaged == 1)
    assert "unknown image encoding 'secret7'" in bench.warnings[0][1]
    assert "frame_id 'cam'" in bench.warnings[0][1]
    bench.max_age, bench.time = 0.5, stamp(8)
    bench.stream.offer(image_message(1))  # 0.7 s old
    until(lambda: bench.stream.counts.too_old == 1)
    assert "0.7 s old" in bench.warnings[1][1]
    bench.offer_and_wait(image_message(6))
    until(lambda: bench.stream.counts.answered == 1)
    assert bench.worker.stop(5)
    assert bench.stream.counts.waiting == 0
    report = bench.stream.meter.report()
    assert report.latency == pytest.approx((0.2,))
    assert "0 for newer, 1 too old, 1 damaged" in report.line()
    assert bench.stream.meter.report().counts == Counts()


def test_what_follows_the_poses_is_no_part_of_their_latency(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    class Slow(Bench):
        def publish(self, result: FramePoses) -> FramePoses:
            self.time = stamp(3)
            return replace(result, frame=replace(result.frame, image=result.frame.image + 100))

        def published(self, result: FramePoses) -> None:
            seen.append((result.frame.image[0, 0, 0], self.stream.counts.answered))
            self.time = stamp(30)

    bench = Slow(tmp_path, lookahead=0)
    bench.offer_and_wait(image_message(1))
    until(lambda: len(seen) == 1)
    assert bench.worker.stop(5)
    assert bench.stream.meter.figures().latency == pytest.approx((0.2,))
    assert seen == [(101, 1)], "as it went out, and counted"


def test_a_missing_stamp_is_replaced_by_the_time_of_arrival(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lookahead=0)
    message = image_message(0)
    message.header.stamp.sec = 0
    bench.offer_and_wait(message)
    until(lambda: len(bench.results) == 1)
    assert bench.stamps() == [bench.time]
    assert bench.worker.stop(5)


def test_stamps_that_go_back_are_told_once_and_begin_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lookahead=0)
    for number in (5, 6, 7, 5, 6, 7):
        bench.offer_and_wait(image_message(number))
    until(lambda: bench.stream.counts.waiting == 0)
    assert bench.worker.stop(5)
    assert bench.stamps() == [stamp(number) for number in (5, 6, 7, 5, 6, 7)]
    assert bench.stream.counts.restarts == 1
    assert len(bench.warnings) == 1
    assert "the stamps went back by 0.2 s" in bench.warnings[0][1]


def test_a_defect_ends_the_thread_and_is_handed_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lookahead=0)
    bench.publish = lambda result: 1 / 0
    bench.stream.offer(image_message(0))
    until(lambda: len(bench.errors) == 1)
    assert isinstance(bench.errors[0], ZeroDivisionError)
    assert bench.worker.stop(5)


def test_stop_does_not_wait_for_ever_and_nothing_is_handed_on_after_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lookahead=0)
    bench.gate.clear()
    bench.offer_and_wait(image_message(0))
    assert not bench.worker.stop(0.05)
    bench.gate.set()
    assert bench.worker.stop(5)
    assert not bench.results
    assert bench.stream.counts.waiting == 1


def test_inbox_holds_one_of_each_sender_and_is_silent_when_closed() -> None:
    inbox: Inbox[str] = Inbox()
    assert inbox.take(0.0) == {}
    assert not inbox.put(1, "a")
    assert not inbox.put(0, "b")
    assert inbox.put(1, "c")
    assert list(inbox.take(None).items()) == [(0, "b"), (1, "c")]
    assert inbox.take(0.0) == {}
    inbox.wake()
    assert inbox.take(None) == {}
    inbox.put(0, "d")
    inbox.close()
    assert inbox.take(None) == {}


def test_quantiles_and_line() -> None:
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([5.0], 0.99) == 5.0
    report = Report(10.0, Counts(100, 10, 0, 0, 88, 176), (0.08, 0.09, 0.5), (0.01, 0.02, 0.03))
    assert report.line() == (
        "in 10.0 Hz, out 8.8 Hz, dropped 10 for newer, 0 too old, 0 damaged, latency p50 90 ms p99 500 ms, "
        "work p50 20.0 ms, 2.0 people a frame"
    )


def test_parameters_make_the_pipeline_they_say(tmp_path: Path) -> None:
    make_bundle(tmp_path / "bundle")
    given = values(bundle=str(tmp_path / "bundle"))
    pipeline = load(given).pipeline()
    assert (pipeline.lookahead, pipeline.config) == (2, PipelineConfig())  # the defaults are the pipeline's own
    other = load(given | {"lookahead": 1, "crop_drift_threshold": 0.0, "detect_every": 3, "max_gap": 2.5}).pipeline()
    assert other.lookahead == 1
    assert (other.config.crop_drift_threshold, other.config.detect_every, other.config.max_gap) == (0.0, 3, 2.5)
    assert load(given | {"sticky": 0.0}).pipeline().config.crop_drift_threshold == 0  # its former name


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"provider": "a"}, "parameter 'provider' must be one of cpu, cuda, tensorrt, tensorrt-direct, not 'a'"),
        ({"detector": "magic"}, "parameter 'detector' must be person, topic or the path of an .onnx file, not 'magic'"),
        ({"detector": ".onnx"}, "parameter 'detector' must be person, topic or the path of an .onnx file, not '.onnx'"),
        ({"min_box_score": 1.5}, "parameter 'min_box_score' must be between 0 and 1, got 1.5"),
        ({"max_gap": 0.0}, "parameter 'max_gap' must be between 0.001 and 3600, got 0.0"),
    ],
)
def test_wrong_values_are_refused_with_the_reason(values: dict, sentence: str) -> None:
    with pytest.raises(UsageError) as refusal:
        check_all(values)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("max_gap", 2, 2.0),
        ("threads", 2, 2),
        ("allow_cpu", True, True),
        ("bundle", "12", "12"),
        ("detector", "topic", "topic"),
        ("detector", "~/a b.ONNX", "~/a b.ONNX"),
    ],
)
def test_a_value_is_taken_in_the_parameters_type(name: str, value: Any, accepted: Any) -> None:
    taken = next(parameter for parameter in PARAMETERS if parameter.name == name).accept(value)
    assert (taken, type(taken)) == (accepted, type(accepted))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("max_gap", True, "parameter 'max_gap' must be a number of 0.001 to 3600, not True"),
        ("max_people", 3.5, "parameter 'max_people' must be a whole number of 1 to 1000, not 3.5"),
        ("allow_cpu", 1, "parameter 'allow_cpu' must be true or false, not 1"),
        ("bundle", 12, "parameter 'bundle' must be a text, not 12"),
        ("min_box_score", float("nan"), "parameter 'min_box_score' must be between 0 and 1, got nan"),
        ("min_box_score", 2, "parameter 'min_box_score' must be between 0 and 1, got 2.0"),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: Any, sentence: str) -> None:
    with pytest.raises(UsageError) as refusal:
        next(parameter for parameter in PARAMETERS if parameter.name == name).accept(value)
    assert str(refusal.value) == sentence


def test_silence_is_told_once_until_images_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("sdtc_ros.node.health.watchdog.monotonic", lambda: now)
    silence = Watchdog()
    told = []
    for now, received in ((104, 0), (105, 0), (111, 0), (112, 3), (116, 3), (117, 3), (130, 3)):  # noqa: B007
        told.append(silence.is_news(received, 5.0))
    assert told == [False, True, False, False, False, True, False]
    now = 1000.0
    assert not Watchdog().is_news(0, 0.0)


def test_another_reason_for_the_silence_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody publishes; then somebody does whose images do not arrive: the first reason helps no more."""
    now = 100.0
    monkeypatch.setattr("sdtc_ros.node.health.watchdog.monotonic", lambda: now)
    silence, told = Silence(), {}
    reasons = {100: "nobody", 108: "too large", 109: "nobody", 112: "too large", 130: "gone"}
    for now in range(101, 140):
        received = 0 if now < 120 else now if now < 125 else 125
        reason = reasons[max(since for since in reasons if since <= now)]
        if news := silence.news(received, 5.0, lambda reason=reason: reason):  # type: ignore[misc]
            told[now] = news
    assert told == {105: "nobody", 117: "too large", 130: "gone"}


def test_pose_yaml_documents_every_parameter_with_its_default() -> None:
    yaml = pytest.importorskip("yaml")
    text = (Path(__file__).parents[2] / "config" / "pose.yaml").read_text(encoding="utf-8")
    documented = yaml.safe_load(text)["/**"]["ros__parameters"]
    assert documented == {parameter.name: parameter.default for parameter in PARAMETERS}
    comments = dict(re.findall(r"^    (\w+): .*# (.*)$", text, re.MULTILINE))
    for parameter in PARAMETERS:
        assert ("(at once)" in comments[parameter.name]) == (parameter.when == "at once"), parameter.name
