# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Diagnostics without ROS: every level turns on where it should and not before, and says why."""

from __future__ import annotations

import gc
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sdtc_ros.errors import UsageError
from sdtc_ros.node.health.health import (
    Health,
    Level,
    Limits,
    camera_health,
    drops_by_cause,
    in_words,
    memory_bytes,
    node_health,
    to_diagnostics,
)
from sdtc_ros.node.health.statistics import HELD_FIGURES, WINDOW, Counts, Figures, Meter, Report
from sdtc_ros.types import Frame, FramePoses

LIMITS = Limits(latency=0.5, drops=0.5, silence=5.0)
COUNTS = Counts(received=50, answered=48, people=96)
WELL = Figures(5.0, COUNTS, COUNTS, (0.08, 0.09, 0.3), {"detect": 0.01, "encode": 0.02}, 0.1)


def status(figures: Figures, limits: Limits = LIMITS, **given: Any) -> Health:
    return camera_health("sdtc_pose: camera", figures, limits, topic="/camera/image_raw", **given)


def with_counts(**counts: int) -> Figures:
    made = Counts(**counts)
    return replace(WELL, counts=made, total=made)


def test_a_camera_that_is_well_says_its_rate_and_latency() -> None:
    health = status(WELL)
    assert (health.level, health.message) == (Level.OK, "9.6 Hz, 90 ms")
    assert health.hardware == health.values["image topic"] == "/camera/image_raw"
    assert (health.values["rate in (Hz)"], health.values["rate out (Hz)"]) == ("10.0", "9.6")
    assert (health.values["latency p50 (ms)"], health.values["latency p99 (ms)"]) == ("90.0", "300.0")
    assert (health.values["detect (ms)"], health.values["encode (ms)"]) == ("10.00", "20.00")
    assert (health.values["people a frame"], health.values["waiting"]) == ("2.0", "2")
    assert health.values["dropped, for newer"] == health.values["dropped, too old"] == "0"


@pytest.mark.parametrize(
    ("silent", "limit", "level"),
    [(4.9, 5.0, Level.OK), (5.0, 5.0, Level.ERROR), (4.9, 4.0, Level.ERROR), (1000.0, 0.0, Level.OK)],
)
def test_silence_is_an_error_from_the_limit_on(silent: float, limit: float, level: Level) -> None:
    assert status(replace(WELL, silent=silent), replace(LIMITS, silence=limit)).level == level


def test_silence_says_since_when_and_why() -> None:
    gone = replace(WELL, counts=Counts(), latency=(), silent=7.2)
    assert (
        status(gone, why_silent="nobody publishes").message == "no image on /camera/image_raw for 7 s: nobody publishes"
    )
    never = replace(gone, total=Counts())
    assert status(never).message == "no image on /camera/image_raw since the start"
    assert status(replace(never, silent=1.0)).message == "waiting for the first image"


@pytest.mark.parametrize(
    ("replaced", "limit", "level"),
    [(25, 0.5, Level.OK), (26, 0.5, Level.WARN), (25, 0.49, Level.WARN), (49, 0.0, Level.OK), (50, 1.0, Level.OK)],
)
def test_drops_warn_above_their_part(replaced: int, limit: float, level: Level) -> None:
    figures = with_counts(received=50, replaced=replaced, answered=max(1, 50 - replaced))
    assert status(figures, replace(LIMITS, drops=limit)).level == level


def test_drops_are_told_by_cause() -> None:
    figures = with_counts(received=50, replaced=20, too_old=10, answered=20)
    assert status(figures).message == "60% of the images are dropped (20 for newer, 10 too old)"


@pytest.mark.parametrize("years", [56, -56])
def test_stamps_of_another_clock_tell_no_latency(years: int) -> None:
    """A recording under its own stamps, a camera that counts from when it was switched on."""
    latency = (years * 3.15e7,) * 5
    health = status(replace(WELL, latency=latency))
    assert health.level == Level.WARN
    assert health.message == "the images' stamps are of another clock than the node's (a recording? see use_sim_time)"
    assert health.values["latency p50 (ms)"] == health.values["latency p99 (ms)"] == "unknown"
    assert status(replace(WELL, latency=latency), replace(LIMITS, latency=0)).message == "9.6 Hz, latency unknown"
    line = Report(5.0, COUNTS, latency, (0.01,)).line()
    assert "latency unknown, the stamps are of another clock, work p50 10.0 ms" in line
    assert "latency p50 500 ms p99 900 ms" in Report(5.0, COUNTS, (0.5, 0.5, 0.9), (0.01,)).line()


@pytest.mark.parametrize(
    ("latency", "limit", "level"),
    [(0.5, 0.5, Level.OK), (0.51, 0.5, Level.WARN), (0.51, 0.0, Level.OK), (-0.5, 0.5, Level.OK)],
)
def test_latency_warns_above_its_limit(latency: float, limit: float, level: Level) -> None:
    health = status(replace(WELL, latency=(0.01, latency, 9.0)), replace(LIMITS, latency=limit))
    assert health.level == level
    if level:
        assert health.message == "poses come 0.51 s after their images, more than warn_latency allows (0.5 s)"


def test_stamps_of_the_future_are_warned_of() -> None:
    health = status(replace(WELL, latency=(-3.0, -3.1, -0.2)))
    assert health.level == Level.WARN
    assert health.message == "the images' stamps lie 3 s ahead of the node's clock (use_sim_time?)"


def test_one_damaged_frame_is_worth_a_warning() -> None:
    health = status(with_counts(received=50, damaged=1, answered=49))
    assert (health.level, health.message) == (Level.WARN, "1 of the last 50 images were damaged")


def test_no_answer_at_all_is_an_error_once_there_was_time_for_one() -> None:
    stuck = with_counts(received=50, replaced=47)
    assert status(stuck).level == Level.ERROR
    assert status(stuck).message == "none of the last 50 images got poses (47 for newer)"
    assert status(replace(stuck, seconds=WINDOW - 0.1, latency=()), replace(LIMITS, drops=0)).level == Level.OK
    assert "(all wait)" in status(with_counts(received=3)).message


def test_the_worst_comes_first_and_nothing_is_kept_back() -> None:
    figures = replace(with_counts(received=50, damaged=30, answered=20), silent=6.0, latency=(0.9,))
    health = status(figures)
    assert health.level == Level.ERROR
    parts = health.message.split("; ")
    assert [part.split()[0] for part in parts] == ["no", "30", "60%", "poses"]


def test_every_cause_of_dropping_is_listed_and_sums_up() -> None:
    counts = Counts(received=10, answered=2, people=9, replaced=3, too_old=1, damaged=2, restarts=1)
    assert drops_by_cause(counts).items() >= {"replaced": 3, "too_old": 1, "damaged": 2}.items()
    assert counts.received == counts.answered + counts.waiting + sum(drops_by_cause(counts).values())


def test_node_on_another_device_than_asked_warns() -> None:
    values = {"model": "tiny"}
    well = node_health("sdtc_pose", "active", values=values, asked="cpu", device="cpu")
    assert (well.level, well.message) == (Level.OK, "active, on cpu")
    assert well.values == {"state": "active", "device": "cpu", "model": "tiny"}
    other = node_health("sdtc_pose", "active", values=values, asked="cuda", device="cpu")
    assert other.level == Level.WARN
    assert other.message == "runs on cpu, because cuda is not available (allow_cpu is set)"
    failed = node_health("sdtc_pose", "active", values=values, asked="cuda", device="cpu", error="no memory")
    assert (failed.level, failed.message.split(";")[0]) == (Level.ERROR, "no memory")
    idle = node_health("sdtc_pose", "unconfigured", values={})
    assert (idle.level, idle.message) == (Level.OK, "unconfigured")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def answer(**timings: float) -> FramePoses:
    return FramePoses(Frame(np.zeros((1, 1, 3), np.uint8), 0), [], timings)


def test_meter_looks_back_over_the_last_seconds_only() -> None:
    clock = Clock()
    meter = Meter(clock)
    counts = meter.counts
    for second in range(1, 11):
        clock.now = 100.0 + second
        counts.received += 10
        counts.replaced += 9 if second <= 5 else 0
        meter.answered(answer(encode=0.001 * second), 0.1 * second)
        figures = meter.figures()
    assert figures.seconds == WINDOW
    assert (figures.counts.received, figures.counts.answered, figures.counts.replaced) == (50, 5, 0)
    assert (figures.total.received, figures.total.replaced, figures.silent) == (100, 45, 0.0)
    assert figures.latency == pytest.approx((0.5, 0.6, 0.7, 0.8, 0.9, 1.0))
    assert figures.stages["encode"] == pytest.approx(0.0075)
    clock.now += 3.0
    assert meter.figures().silent == 3.0
    clock.now += 3.0
    later = meter.figures()
    assert (later.silent, later.latency, later.stages) == (6.0, (), {})
    assert later.counts.received == 0


def test_meter_counts_a_short_start_as_short() -> None:
    clock = Clock()
    meter = Meter(clock)
    clock.now += 2.0
    meter.counts.received = 20
    figures = meter.figures()
    assert (figures.seconds, figures.silent) == (2.0, 0.0)
    assert status(figures).values["rate in (Hz)"] == "10.0"


def test_meter_holds_what_somebody_will_ask_for() -> None:
    """The last seconds for the diagnostics, more where the last report is longer ago, and never without end."""
    clock = Clock()
    meter = Meter(clock)
    for _ in range(1000):
        clock.now += 1.0
        meter.answered(answer(), 0.1)
        meter.report()
    assert len(meter._results) <= WINDOW + 1
    for _ in range(HELD_FIGURES + 1000):
        clock.now += 1.0
        meter.answered(answer(), 0.1)
    assert len(meter._results) == len(meter.report().latency) == HELD_FIGURES
    clock.now += 1.0
    meter.answered(answer(), 0.1)
    assert len(meter._results) <= WINDOW + 1


def test_the_log_and_the_diagnostics_tell_of_the_same_answers_over_times_of_their_own() -> None:
    meter = Meter(clock := Clock())
    for second in range(1, 11):
        clock.now = 100.0 + second
        meter.counts.received += 1
        meter.worked(0.01 * second)
        meter.answered(answer(), 0.1 * second)
        meter.figures()
    assert meter.seconds_since_report == 10.0
    report, figures = meter.report(), meter.figures()
    assert (report.seconds, report.counts) == (10.0, figures.total)
    assert report.latency[-6:] == figures.latency
    assert len(report.latency) == len(report.busy) == 10
    assert report.line() == (
        "in 1.0 Hz, out 1.0 Hz, dropped 0 for newer, 0 too old, 0 damaged, latency p50 500 ms p99 1000 ms, "
        "work p50 50.0 ms, 0.0 people a frame"
    )
    clock.now += 1.0
    meter.answered(answer(), 2.0)
    assert meter.report().latency == (2.0,), "what was reported is not reported again"
    assert meter.figures().latency[-2:] == (1.0, 2.0), "the diagnostics look back over it"


def test_stages_that_a_frame_did_without_count_as_nothing() -> None:
    meter = Meter(clock := Clock())
    meter.answered(answer(detect=0.04, track=0.002), 0.1)
    meter.answered(answer(track=0.004), 0.1)
    clock.now += 1.0
    assert meter.figures().stages == pytest.approx({"detect": 0.02, "track": 0.003})


def test_diagnostics_message_holds_it_all() -> None:
    health = Health("a: camera", Level.WARN, "why", {"one": "1", "two": "2"}, "/image")
    message = to_diagnostics([health], "the header", lambda name: SimpleNamespace)
    assert message.header == "the header"
    (entry,) = message.status
    assert (entry.level, entry.name, entry.message, entry.hardware_id) == (b"\x01", "a: camera", "why", "/image")
    assert [(pair.key, pair.value) for pair in entry.values] == [("one", "1"), ("two", "2")]


def test_memory_grows_with_what_is_held() -> None:
    gc.collect()  # what earlier tests have left goes now, not meanwhile
    before = memory_bytes()
    if before is None:
        pytest.skip("this system tells no resident memory in /proc")
    block = np.ones(200_000_000, np.uint8)
    assert memory_bytes() - before > 0.5 * block.nbytes


def test_an_error_in_a_sentence() -> None:
    assert in_words(UsageError("mend this")) == "mend this"
    assert in_words(RuntimeError("out of it\n  at line 3\n")) == "RuntimeError: out of it"
    assert in_words(MemoryError()) == "MemoryError"


def test_a_shorter_lookahead_is_said_with_what_shortened_it() -> None:
    health = status(WELL, lookahead=(1, 2))
    assert health.message == "9.6 Hz, 90 ms; lookahead 1 of 2 frames: more would take longer than lookahead_wait allows"
    assert health.level == Level.OK
    assert health.values["lookahead (frames)"] == "1 of 2"
    assert health.values["windows"] == "whole"
    assert status(WELL, lookahead=(2, 2)).message == "9.6 Hz, 90 ms"
    behind = status(WELL, lookahead=(0, 2), alone=True)
    assert behind.message == (
        "9.6 Hz, 90 ms; keyframes without their neighbours: with them, fewer frames would be processed still"
    )
    assert behind.values["windows"] == "keyframes alone"


def test_images_lost_on_the_way_are_said_with_what_helps() -> None:
    health = status(with_counts(received=5, answered=5, lost=45))
    assert health.level == Level.WARN
    assert health.message.startswith("45 of the last 50 images were lost on their way")
    assert "reliability:=reliable" in health.message
    assert health.values["lost on the way"] == "45"
    assert status(with_counts(received=45, answered=45, lost=5)).level == Level.OK


def test_poses_left_out_are_counted_and_no_fault() -> None:
    meter = Meter(Clock())
    for _ in range(3):
        meter.counts.received += 1
        meter.answered(replace(answer(), duplicates=(4, 7)), 0.1)
    health = status(replace(WELL, total=meter.figures().total))
    assert (health.level, health.values["duplicate poses"]) == (Level.OK, "6")


def test_invalid_boxes_are_said_for_as_long_as_they_come() -> None:
    health = status(with_counts(received=10, answered=10, invalid_boxes=3))
    assert (health.level, health.values["invalid boxes"]) == (Level.WARN, "3")
    assert health.message == "3 person boxes of the last 10 images were invalid"
    assert status(replace(WELL, total=replace(COUNTS, invalid_boxes=3))).level == Level.OK, "that was long ago"


def test_other_nodes_of_the_same_name_are_said() -> None:
    assert node_health("pose", "active", values={}).level == Level.OK
    health = node_health("pose", "active", values={}, namesakes=1)
    assert health.level == Level.WARN
    assert health.message.startswith("2 nodes are called 'pose': parameters and services reach only one of them")
