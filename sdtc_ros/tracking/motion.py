# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How far the people of a stream have moved, told by their poses: what propagates boxes from one detection to the next.

A box of a walking person grows and shrinks with every step, and a detector's trembles: neither says well where the
person goes. The joints do. Between two poses a person has moved by the median, over the joints that both are sure of,
of how far each joint has moved; so a box is shifted, and keeps the size it was detected with.

How long a pose may say so is given in seconds, not in frames: from a camera of five frames a second or fewer, with a
lookahead of 2, the newest pose is too old by the time it comes, and says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtc_ros.types import FramePoses

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

SURE = 0.3  # a joint's score from which it is believed
JOINTS = 5  # that two poses must both be sure of
SPAN = 300_000_000  # nanoseconds of poses that a speed is taken from
MOST = 60  # poses of a person within it, at any frame rate
LONGEST = 500_000_000  # nanoseconds for which the newest poses say where somebody is


@dataclass(frozen=True)
class _Poses:
    """The N people of a processed keyframe: stamp in nanoseconds, ids N, keypoints N x K x 3 (image pixels, score)."""

    stamp: int
    ids: IntArray
    keypoints: FloatArray


class Motion:
    """The poses of the last moments, and how far people have moved by them."""

    def __init__(self) -> None:
        self._found: list[_Poses] = []  # as time goes; the last is the newest
        self._detected = 0

    def detected(self, stamp: int) -> None:
        """Boxes were found in the frame of `stamp` (nanoseconds): its poses are kept until they are found again."""
        self._detected = stamp

    def add_poses(self, result: FramePoses) -> None:
        """Take the poses of the next keyframe."""
        if not result.poses:
            return
        ids = np.array([pose.track_id for pose in result.poses], np.int64)
        new = _Poses(result.frame.stamp, ids, np.stack([pose.keypoints for pose in result.poses]))
        before = [one for one in self._found if one.stamp < new.stamp]
        before = [one for one in before if one.keypoints.shape[1:] == new.keypoints.shape[1:]]  # as many joints
        recent = [one for one in before[-MOST:] if one.stamp >= new.stamp - SPAN]
        there = [one for one in before[: len(before) - len(recent)] if one.stamp == self._detected]
        self._found = [*there, *recent, new]

    def shifts(self, ids: IntArray, until: int) -> FloatArray:
        """How far (x, y; pixels) each of N tracks has moved from the last detection to the moment `until`: N x 2.

        To the newest pose by the poses, and on from there at the speed of the last SPAN. NaN where no pose of the
        track is sure enough or new enough.
        """
        unknown = np.full((len(ids), 2), np.nan, np.float32)
        if not self._found or not 0 <= until - self._found[-1].stamp <= LONGEST:
            return unknown
        newest = self._found[-1]
        speed = self._speed(ids, newest)
        at_speed = speed * np.float32((until - self._detected) * 1e-9)
        there = [one for one in self._found if one.stamp == self._detected]
        if not there or newest is there[0]:
            return at_speed
        moved = _moved(ids, there[0], newest) + speed * np.float32((until - newest.stamp) * 1e-9)
        return np.where(np.isnan(moved), at_speed, moved)

    def _speed(self, ids: IntArray, newest: _Poses) -> FloatArray:
        """Pixels a second (N x 2), each track's from its oldest pose of the last SPAN that can be compared."""
        speed = np.full((len(ids), 2), np.nan, np.float32)
        comparable = np.isin(ids, newest.ids)  # who is tracked without poses never is
        for older in self._found:
            if newest.stamp - SPAN <= older.stamp < newest.stamp:
                seconds = np.float32((newest.stamp - older.stamp) * 1e-9)
                speed = np.where(np.isnan(speed), _moved(ids, older, newest) / seconds, speed)
            if not np.isnan(speed[comparable]).any():
                break
        return speed


def _moved(ids: IntArray, older: _Poses, newer: _Poses) -> FloatArray:
    """Pixels (N x 2) from one pose of each track to the other; NaN where it lacks one, or both lack sure joints."""
    rows_older, rows_newer = _rows(ids, older.ids), _rows(ids, newer.ids)
    before, after = older.keypoints[rows_older], newer.keypoints[rows_newer]
    sure = (before[..., 2] >= SURE) & (after[..., 2] >= SURE)
    known = (rows_older >= 0) & (rows_newer >= 0) & (sure.sum(axis=1) >= JOINTS)
    moved = np.full((len(ids), 2), np.nan, np.float32)
    steps = np.where(sure[..., None], after[..., :2] - before[..., :2], np.inf)[known]
    moved[known] = _medians(steps, sure[known].sum(axis=1))
    return moved


def _medians(steps: FloatArray, count: IntArray) -> FloatArray:
    """Medians (N x 2) of N x K x 2 steps, all but `count` (N) infinite; np.nanmedian takes five times as long."""
    ordered, rows = np.sort(steps, axis=1), np.arange(len(steps))
    return (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / np.float32(2)


def _rows(ids: IntArray, among: IntArray) -> IntArray:
    """Where each id stands among others, -1 where it does not."""
    match = ids[:, None] == among[None, :]
    return np.where(match.any(axis=1), match.argmax(axis=1), -1)
