# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A keyframe's wait for later frames is bounded in seconds, whatever the camera's and the node's rates."""

from __future__ import annotations

import numpy as np
import pytest

from sdtc_ros.node.lookahead import LookaheadLimit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def settled(
    limit: LookaheadLimit, clock: Clock, period: float, work: float, wait: float = -1.0, seconds: float = 5
) -> int:
    """The lookahead after `seconds` of a camera with that period and a node that needs `work` seconds a frame."""
    end, free_at, waiting = clock.now + seconds, clock.now, False
    due = clock.now + period
    while clock.now < end:
        clock.now = min(due, free_at) if waiting and free_at > clock.now else due
        if clock.now == due:
            limit.heard()
            waiting, due = True, due + period
        if waiting and clock.now >= free_at:
            limit.taken(wait)
            waiting, free_at = False, clock.now + work
    return limit.frames


@pytest.mark.parametrize(
    ("period", "work", "frames"),
    [
        (1 / 30, 0.005, 2),  # keeps up easily
        (1 / 30, 0.030, 2),  # just keeps up
        (1 / 30, 0.0345, 2),  # misses one frame in thirty
        (1 / 30, 0.040, 1),  # five of six frames
        (1 / 30, 0.050, 0),  # two of three frames
        (1 / 30, 0.320, 0),  # three frames a second of thirty
        (1 / 10, 0.090, 2),  # a slow camera: its frames are worth waiting for
        (1 / 10, 0.120, 1),
        (1 / 10, 0.140, 0),  # with one frame more the answer would be 330 ms old
        (1 / 10, 0.320, 0),
    ],
)
def test_the_wait_is_what_it_would_be_at_the_cameras_rate(period: float, work: float, frames: int) -> None:
    clock = Clock()
    assert settled(LookaheadLimit(2, clock), clock, period, work) == frames


@pytest.mark.parametrize(
    ("wait", "frames"), [(0.0, 0), (0.05, 0), (0.12, 1), (0.25, 2), (3600.0, 2), (float("inf"), 2)]
)
def test_a_bound_in_seconds(wait: float, frames: int) -> None:
    clock = Clock()
    assert settled(LookaheadLimit(2, clock), clock, 0.1, 0.02, wait) == frames


def test_nothing_is_cut_before_the_rates_are_known() -> None:
    clock = Clock()
    limit = LookaheadLimit(2, clock)
    for _ in range(3):
        limit.heard()
        clock.now += 0.5
        assert limit.taken() == 2
    assert limit.taken(0.0) == 0  # but who wants no wait gets none


def test_it_grows_again_when_the_node_keeps_up() -> None:
    clock = Clock()
    limit = LookaheadLimit(2, clock)
    assert settled(limit, clock, 1 / 30, 0.3) == 0
    assert settled(limit, clock, 1 / 30, 0.01) == 2


def test_one_pause_changes_nothing() -> None:
    clock = Clock()
    limit = LookaheadLimit(2, clock)
    settled(limit, clock, 1 / 30, 0.01)
    clock.now += 10.0
    limit.heard()
    assert limit.taken() == 2


def test_it_does_not_flap_where_the_node_just_misses_the_rate() -> None:
    clock = Clock()
    limit = LookaheadLimit(2, clock)
    settled(limit, clock, 1 / 30, 0.030)
    seen, free_at = [], clock.now
    for number in range(300):  # work that wavers by a fifth around what is allowed for two frames
        clock.now += 1 / 30
        limit.heard()
        if clock.now >= free_at:
            seen.append(limit.taken())
            free_at = clock.now + (0.030 if number % 2 else 0.036)
    changes = sum(before != after for before, after in zip(seen, seen[1:], strict=False))
    assert changes <= 2


@pytest.mark.parametrize(("jitter", "work"), [(0.0085, 0.025), (0.012, 0.02), (0.005, 0.03)])
def test_a_camera_that_trembles_is_no_node_that_falls_behind(jitter: float, work: float) -> None:
    clock, seen = Clock(), []
    limit = LookaheadLimit(2, clock)
    random = np.random.default_rng(0)
    free_at = begin = clock.now
    for number in range(900):
        clock.now = max(clock.now, begin + number / 30 + random.uniform(-jitter, jitter))
        limit.heard()
        clock.now = max(clock.now, free_at)
        seen.append(limit.taken())
        free_at = clock.now + work
    assert set(seen) == {2}


def trials(limit: LookaheadLimit, clock: Clock, whole: float, alone: float, seconds: float) -> list[float]:
    """When windows were taken up or given up, at 30 Hz; whole, alone: what a frame takes with them and without."""
    changes, free_at, begin = [], clock.now, clock.now
    while clock.now < begin + seconds:
        clock.now += 1 / 30
        limit.heard()
        if clock.now >= free_at:
            before = limit.alone
            limit.taken()
            free_at = clock.now + (alone if limit.alone else whole) - 1e-6
            if limit.alone != before:
                changes.append(clock.now - begin)
    return changes


def test_windows_are_kept_while_every_other_frame_is_worked_on() -> None:
    clock = Clock()
    assert trials(LookaheadLimit(2, clock), clock, whole=2 / 30, alone=1 / 30, seconds=60) == []


def test_windows_are_not_tried_while_even_keyframes_alone_take_too_long() -> None:
    clock = Clock()
    limit = LookaheadLimit(2, clock)
    assert len(trials(limit, clock, whole=0.5, alone=0.1, seconds=120)) == 1
    assert limit.alone


def test_windows_are_tried_ever_more_seldom_where_they_fail() -> None:
    clock = Clock()
    changes = trials(LookaheadLimit(2, clock), clock, whole=0.3, alone=1 / 30, seconds=300)
    lasted = [after - before for before, after in zip(changes[::2], changes[1::2], strict=False)]  # on their own
    assert lasted[0] == pytest.approx(2.0, abs=0.1)
    assert lasted[-1] == pytest.approx(60.0, abs=0.1)
    assert [round(time) for time in lasted] == sorted(round(time) for time in lasted)
    assert sum(lasted) > 240
    assert all(after - before < 5 for before, after in zip(changes[1::2], changes[2::2], strict=False))


def test_without_a_bound_windows_stay_whole() -> None:
    clock = Clock()
    limit = LookaheadLimit(2, clock)
    settled(limit, clock, 1 / 30, 0.5, wait=3600.0)
    assert not limit.alone
