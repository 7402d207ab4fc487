# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Time as the node sees it: frames that are too old, gaps, stamps that go back, simulated time that stands still."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import scene

IMAGE, POSES = "/image", "/sdtc/poses"
SECOND = 1_000_000_000


@pytest.fixture
def ready(ros, models, hand):
    """Launches the node with the arguments and waits until it hears images and the hand hears poses."""

    def launch(*arguments: str) -> Any:
        node = ros.launch(*models, *arguments)
        hand.camera(IMAGE)
        hand.listen(POSES)
        return node

    return launch


def send(hand: Any, number: int, stamp: int | None = None, *, answers: int) -> list[dict[str, Any]]:
    """One image; waits until that many answers have come (or seconds have passed) and returns them."""
    hand.image(IMAGE, number, stamp)
    return hand.heard(POSES, count=answers, patience=5.0)


def shown(message: dict[str, Any]) -> list[float]:
    """The frames of the window of a message, by the scene's colours."""
    return [round(frame) for frame in scene.frames_of_joints(np.array(message["keypoints"][0], np.float32))[:5]]


def test_frames_older_than_max_age_are_dropped_and_counted(ready, hand) -> None:
    node = ready("lookahead:=0", "max_age:=30.0", "statistics_period:=1.0", "max_gap:=600.0")
    now = time.time_ns()
    send(hand, 0, now, answers=1)
    assert not send(hand, 1, now - 3600 * SECOND, answers=2)[1:]
    node.wait_for("it is 3.6e+03 s old, more than max_age allows (30 s)")
    send(hand, 2, now + SECOND, answers=2)
    assert [message["stamp"] for message in hand.heard(POSES, count=2)] == [now, now + SECOND]
    assert hand.set("max_age", 0.0) == [True, ""]
    assert send(hand, 3, now + 2 * SECOND - 3600 * SECOND, answers=3)[2:], "0 lets every frame pass, at once"
    node.interrupt()
    assert "4 frames received = 3 answered + 0 dropped for newer + 1 too old + " in node.log


def test_a_gap_longer_than_max_gap_starts_over(ready, hand) -> None:
    ready("lookahead:=0", "max_gap:=100.0")
    stamps = [0, 1, 2, 200, 201]  # seconds
    for number, seconds in enumerate(stamps):
        send(hand, number, scene.FIRST_STAMP + seconds * SECOND, answers=number + 1)
    messages = hand.heard(POSES, count=5)
    assert shown(messages[2]) == [0, 1, 2, 2, 2]
    assert shown(messages[3]) == [3, 3, 3, 3, 3], "no window reaches over the gap"
    assert shown(messages[4]) == [3, 3, 4, 4, 4]
    ids = [message["ids"] for message in messages]
    assert ids[0] == ids[2] != ids[3] == ids[4]


def test_a_bag_that_loops_starts_over_with_one_line_in_the_log(ready, hand) -> None:
    node = ready("lookahead:=1", "max_gap:=60.0")
    for turn in range(2):
        for number in range(4):
            send(hand, number, answers=4 * turn + number)
    assert len(hand.heard(POSES, count=7)) == 7
    messages = hand.heard(POSES)
    numbers = [scene.number_of(message["stamp"]) for message in messages]
    assert numbers == [0, 1, 2, 3, 0, 1, 2], "the last frame of the first turn is answered too"
    assert shown(messages[3]) == [1, 2, 3, 3, 3], "not with a frame of the second turn"
    assert shown(messages[4]) == [0, 0, 0, 1, 1]
    ids = [message["ids"] for message in messages]
    assert ids[0] == ids[3] != ids[4] == ids[6]
    assert node.log.count("the stamps went back by 0.3 s") == 1
    node.interrupt()
    assert "0 dropped for newer + 0 too old" in node.log


def test_simulated_time_that_stands_still_and_goes_back(ready, hand) -> None:
    node = ready("lookahead:=0", "use_sim_time:=true", "max_age:=1.0", "max_gap:=60.0", "statistics_period:=1.0",
                 "max_silence:=2.0")  # fmt: skip
    hand.clock(1000 * SECOND)
    assert send(hand, 0, 1000 * SECOND, answers=1), "a frame of the simulation is no old one"
    assert not send(hand, 1, 998 * SECOND, answers=2)[1:]
    node.wait_for("it is 2 s old, more than max_age allows (1 s)")
    # the clock stands still: statistics and the watch for silence go by real time all the same
    node.wait_for("no image received for 2 s")
    node.wait_for("latency p50 0 ms")
    send(hand, 2, 1000 * SECOND + 1, answers=2)
    hand.clock(10 * SECOND)  # the simulation began anew
    send(hand, 3, 10 * SECOND, answers=3)
    stamps = [message["stamp"] for message in hand.heard(POSES, count=3)]
    assert stamps == [1000 * SECOND, 1000 * SECOND + 1, 10 * SECOND]
    assert "the stamps went back by 990 s" in node.log
    assert node.interrupt() < 10.0


def test_a_simulation_without_a_clock_is_told(ready) -> None:
    node = ready("use_sim_time:=true", "max_silence:=1.0")
    node.wait_for("use_sim_time is set, but nothing is published on /clock")


def test_frames_that_wait_are_answered_though_simulated_time_stands_still(ready, hand) -> None:
    ready("use_sim_time:=true", "max_gap:=1.0")
    hand.clock(50 * SECOND)
    for number in range(3):
        hand.image(IMAGE, number, 50 * SECOND + number)
        hand.spin(0.2)
    assert [message["stamp"] - 50 * SECOND for message in hand.heard(POSES, count=3)] == [0, 1, 2]


@pytest.mark.parametrize("lookahead", [0, 1, 2])
def test_every_lookahead_answers_that_many_frames_late(ready, hand, lookahead) -> None:
    ready(f"lookahead:={lookahead}", "max_gap:=600.0")
    for number in range(6):
        messages = send(hand, number, answers=number + 1 - lookahead)
        assert [scene.number_of(one["stamp"]) for one in messages] == list(range(number + 1 - lookahead))
    for place, message in enumerate(messages):
        window = [min(max(p, 0), place + lookahead) for p in range(place - 2, place + 3)]
        assert shown(message) == window


def test_under_load_the_newest_wins_and_the_sum_holds(ready, hand, ros) -> None:
    node = ready("lookahead:=0", "max_gap:=60.0")
    hand.stream([IMAGE], 200.0, [640, 480])
    hand.heard(POSES, count=50, patience=20.0)
    hand.still()
    stamps = [message["stamp"] for message in hand.heard(POSES, patience=1.0)]
    assert len(stamps) > 20
    assert stamps == sorted(set(stamps)), "never an older frame after a newer one, none twice"
    node.interrupt()
    line = next(line for line in node.lines if "stopped: " in line)
    left, right = line.split("stopped: ")[1].split(" frames received = ")
    assert int(left) == sum(int(part.split()[0]) for part in right.split(" + "))
    assert "0 waiting" in right
