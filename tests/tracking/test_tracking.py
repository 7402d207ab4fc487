# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Track ids: stable, unique, there from the first frame, at any frame rate."""

from __future__ import annotations

import numpy as np
import pytest

from sdtc_ros.tracking.tracker import Tracker, TrackingConfig
from sdtc_ros.types import Boxes, Frame, FramePoses, Pose


def walkers(number: int, rate: float) -> Boxes:
    """Three people; two walk towards each other in lanes apart, one stands."""
    seconds = number / rate
    xywh = [[50 + 60 * seconds, 40, 40, 100], [450 - 60 * seconds, 160, 45, 110], [300, 300, 40, 100]]
    order = np.random.default_rng(number).permutation(3)
    return Boxes(np.array(xywh, np.float32)[order], np.array([0.9, 0.8, 0.7], np.float32)[order])


@pytest.mark.parametrize("rate", [5.0, 10.0, 30.0, 120.0])
def test_ids_stay_with_their_people_from_the_first_frame(rate: float) -> None:
    tracker = Tracker()
    for number in range(60):
        boxes = walkers(number, rate)
        tracked = tracker.update(boxes, round(number / rate * 1e9))
        assert tracked.ids is not None and tracked.ids.dtype == np.int64 and len(tracked) == 3
        by_id = dict(zip(tracked.ids.tolist(), tracked.scores.tolist(), strict=True))
        if number == 0:
            names = by_id
        assert by_id == names  # each person's score is its own here
        np.testing.assert_array_equal(np.sort(tracked.xywh, axis=0), np.sort(boxes.xywh, axis=0))
    assert sorted(names) == [1, 2, 3]


def test_a_short_loss_keeps_the_id_and_a_long_one_does_not() -> None:
    tracker = Tracker(TrackingConfig(lost_seconds=1.0))
    box, nobody = walkers(0, 10), Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    times = [0.0, 0.1, 0.2, 0.3, 0.9, 1.0]
    ids = [tracker.update(nobody if 0.25 < t < 0.8 else box, round(t * 1e9)).ids for t in times]
    assert sorted(ids[4].tolist()) == sorted(ids[0].tolist()) == [1, 2, 3]
    late = tracker.update(nobody, 3_000_000_000)
    assert len(late) == 0
    assert sorted(tracker.update(box, 3_100_000_000).ids.tolist()) == [4, 5, 6]


def test_ids_are_never_used_twice_over_restarts() -> None:
    for confirm in (1, 2):
        tracker = Tracker(TrackingConfig(confirm=confirm))
        seen: set[int] = set()
        for _ in range(3):
            tracker.restart()
            new: set[int] = set()
            for number in range(4):  # stamps start again each time: a restart is what makes that right
                new |= set(tracker.update(walkers(number, 10), number * 100_000_000).ids.tolist())
            assert len(new) == 3 and not new & seen
            seen |= new


def test_confirm_two_wants_two_frames_and_weak_boxes_start_nothing() -> None:
    tracker = Tracker(TrackingConfig(confirm=2))
    assert len(tracker.update(walkers(0, 10), 0)) == 0
    assert len(tracker.update(walkers(1, 10), 100_000_000)) == 3
    weak = Boxes(np.array([[10, 10, 40, 80]], np.float32), np.array([0.25], np.float32))
    tracker = Tracker()
    assert [len(tracker.update(weak, n * 100_000_000)) for n in range(3)] == [0, 0, 0]
    strong = Boxes(weak.xywh, np.array([0.8], np.float32))
    assert [len(tracker.update(b, n * 100_000_000)) for n, b in ((4, strong), (5, weak), (6, weak))] == [1, 1, 1]


@pytest.mark.parametrize("confirm", [1, 3])
def test_untracked_boxes_can_be_kept_with_ids_of_their_own(confirm: int) -> None:
    """For evaluation: every box has an id, the sure ones keep theirs, no id is used for two people."""
    config = TrackingConfig(keep_untracked=True, confirm=confirm)
    tracker = Tracker(config)
    weak = (config.start_score / 2, config.start_score * 0.9)
    seen: list[list[int]] = []
    for number in range(8):
        sure = [[10 + 2 * number, 10, 20, 40], [200, 10, 20, 40]]
        doubtful = [[100, 100, 20, 40], [300, 100 + 60 * (number % 2), 20, 40]]
        boxes = Boxes(np.array(sure + doubtful, np.float32), np.array([0.9, 0.8, *weak], np.float32))
        tracked = tracker.update(boxes, number * 40_000_000)
        assert np.array_equal(tracked.xywh, boxes.xywh) and np.array_equal(tracked.scores, boxes.scores)
        assert tracked.ids is not None
        seen.append(tracked.ids.tolist())
    assert len({tuple(ids[:2]) for ids in seen}) == 1
    lone = [identity for ids in seen for identity in ids[2:]]
    assert len(set(lone)) == len(lone) == 16 and not set(lone) & set(seen[0][:2])
    newcomer = tracker.update(Boxes(np.array([[500, 10, 20, 40]], np.float32), np.ones(1, np.float32)), 8 * 40_000_000)
    assert newcomer.ids is not None and not set(newcomer.ids.tolist()) & (set(lone) | set(seen[0][:2]))


def test_ids_from_outside_are_used_as_they_are() -> None:
    tracker = Tracker()
    given = Boxes(np.array([[0, 0, 10, 10], [0, 0, 10, 10]], np.float32), np.ones(2, np.float32), np.array([77, -4]))
    assert tracker.update(given, 0) is given


def test_frames_of_one_stamp_are_tracked_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    tracker = Tracker()
    for _ in range(3):
        assert sorted(tracker.update(walkers(0, 10), 5).ids.tolist()) == [1, 2, 3]
    assert not [w for w in recwarn if "timestamp" in str(w.message)]


def test_without_poses_a_prediction_goes_on_at_constant_speed_and_keeps_its_size() -> None:
    """What a box's size does from one detection to the next is the limbs' swing and the detector's trembling."""
    tracker = Tracker()
    ids = np.array([3])
    tracker.update(Boxes(np.array([[10, 10, 20, 40]], np.float32), np.ones(1, np.float32), ids), 0)
    tracker.update(Boxes(np.array([[14, 8, 18, 36]], np.float32), np.ones(1, np.float32), ids), 100_000_000)
    np.testing.assert_allclose(tracker.predict(150_000_000).xywh, [[15.5, 6, 18, 36]], rtol=1e-5)
    np.testing.assert_allclose(tracker.predict(10_000_000_000).xywh[:, 2:], [[18, 36]])
    assert tracker.predict(150_000_000).ids.tolist() == [3]


def test_poses_tell_where_people_go_and_those_without_go_straight_on() -> None:
    """Person 3 turned back after the last detection, as the poses saw; of person 4 there is no pose."""
    tracker = Tracker()
    ids = np.array([3, 4])
    for number in range(2):
        boxes = np.array([[10 + 5 * number, 10, 20, 40], [90 + 5 * number, 10, 20, 40]], np.float32)
        tracker.update(Boxes(boxes, np.ones(2, np.float32), ids), number * 100_000_000)
        tracker.add_poses(answer_of({3: 20 + 5 * number}, number * 100_000_000))
    tracker.add_poses(answer_of({3: 22}, 150_000_000))
    tracker.add_poses(answer_of({3: 19}, 200_000_000))
    # the speed of the last 0.3 s, 5 pixels a second back on balance, from the newest pose on
    np.testing.assert_allclose(tracker.predict(250_000_000).xywh[0], [15 - 6 - 0.25, 10, 20, 40], atol=1e-4)
    np.testing.assert_allclose(tracker.predict(250_000_000).xywh[1], [95 + 7.5, 10, 20, 40], atol=1e-4)
    tracker.restart()
    assert len(tracker.predict(250_000_000)) == 0
    tracker.update(Boxes(boxes, np.ones(2, np.float32), ids), 260_000_000)
    np.testing.assert_allclose(tracker.predict(300_000_000).xywh, boxes)  # what was before the cut is forgotten


def at(*places: float) -> Boxes:
    """People 20 wide and 40 high, their left edges at these places."""
    return Boxes(np.array([[x, 10, 20, 40] for x in places], np.float32).reshape(-1, 4), np.full(len(places), 0.9, "f"))


def tracked(tracker: Tracker, boxes: Boxes, stamp: int, propagate: bool = True) -> dict[int, float]:
    """Left edges by id."""
    found = tracker.update(boxes, stamp * 100_000_000, propagate=propagate)
    return dict(zip(found.ids.tolist(), found.xywh[:, 0].tolist(), strict=True))


def expected(tracker: Tracker, stamp: float) -> dict[int, float]:
    found = tracker.predict(round(stamp * 100_000_000))
    return dict(zip(found.ids.tolist(), found.xywh[:, 0].tolist(), strict=True))


def test_who_is_missed_once_goes_on_where_he_went_and_is_found_again_as_himself() -> None:
    tracker = Tracker()
    for number in range(3):
        tracked(tracker, at(10 + 4 * number, 200), number)
    assert tracked(tracker, at(200), 3) == {2: 200, 1: 22}
    assert expected(tracker, 3.5) == pytest.approx({2: 200, 1: 24})
    assert tracked(tracker, at(26, 200), 4) == {1: 26, 2: 200}
    assert tracked(tracker, at(200), 5) == {2: 200, 1: 30}, "missed in every other detection"
    assert tracked(tracker, at(200), 6) == {2: 200}, "missed twice"
    assert expected(tracker, 6.5) == {2: 200}


def test_where_stamps_stand_still_the_missed_go_all_the_same() -> None:
    tracker = Tracker()
    for _ in range(3):
        tracked(tracker, at(10), 5)
    assert [tracked(tracker, at(), 5) for _ in range(2)] == [{1: 10}, {}]


def test_poses_propagate_who_is_missed() -> None:
    """Detected at a stand; the poses saw him set out."""
    tracker = Tracker()
    for number in range(3):
        tracked(tracker, at(10), number)
        tracker.add_poses(answer_of({1: 20}, number * 100_000_000))
    tracker.add_poses(answer_of({1: 24}, 250_000_000))
    (place,) = tracked(tracker, at(), 3).values()
    assert place > 14


def test_only_people_who_were_found_twice_and_have_a_track_are_propagated() -> None:
    tracker = Tracker()
    assert tracked(tracker, at(10), 0) == {1: 10}
    assert tracked(tracker, at(), 1) == {}, "found once only"
    tracker = Tracker(TrackingConfig(lost_seconds=0.25))
    for number in range(3):
        tracked(tracker, at(10), number)
    assert tracked(tracker, at(), 4) == {1: 10}
    assert expected(tracker, 4.4) == {1: 10}
    assert expected(tracker, 4.6) == {}, "longer ago than lost_seconds"
    for number in range(5, 7):
        tracked(tracker, at(10), number)
    assert tracked(tracker, at(), 9) == {}, "the tracker has given him up"


def test_a_newcomer_takes_the_place_of_who_is_missed_and_a_bystander_does_not() -> None:
    """A tracker that asks for more overlap than there was has given him a new id."""
    for jump, both in ((12, False), (60, True)):
        tracker = Tracker(TrackingConfig(min_iou=0.2 if not both else 0.5))
        for number in range(3):
            tracked(tracker, at(50), number)
        tracker._tracker.minimum_iou_threshold = 0.9
        assert tracked(tracker, at(50 + jump), 3) == ({2: 62} if not both else {2: 110, 1: 50})


def test_without_being_asked_nobody_is_propagated() -> None:
    tracker = Tracker()
    for number in range(3):
        tracked(tracker, at(10), number)
    assert tracked(tracker, at(), 3, propagate=False) == {}
    given = Boxes(at(10).xywh, at(10).scores, np.array([7]))
    assert tracked(tracker, given, 4) == tracked(tracker, given, 5) == {7: 10}
    none = Boxes(at().xywh, at().scores, np.zeros(0, np.int64))
    assert tracked(tracker, none, 6) == {}, "ids from outside are all there is"


def answer_of(places: dict[int, float], stamp: int) -> FramePoses:
    """People with fifteen sure joints around (x, 30), by track id."""
    spread = np.linspace(-8, 8, 15)
    poses = []
    for track, x in places.items():
        keypoints = np.stack([x + spread, 30 + spread, np.full(15, 0.9)], axis=1).astype(np.float32)
        box = np.array([x - 10, 10, 20, 40], np.float32)
        poses.append(Pose(track, box, 1.0, keypoints, np.zeros((15, 3), np.float32), 0.9))
    return FramePoses(Frame(np.zeros((1, 1, 3), np.uint8), stamp), poses)
