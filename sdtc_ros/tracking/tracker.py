# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Boxes of successive frames -> track ids, by ByteTrack (Zhang et al., ECCV 2022; the `trackers` library).

The library works in seconds when it is told the frames' stamps, so any frame rate will do. Two things are added:
ids are never used twice (not after `restart` either), and with `confirm` = 1 a person has an id from the first frame
on, where the library gives one from the second on. In frames without detection, boxes are propagated by the poses, and
where that is asked for, over one detection that misses a person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.detection.boxes import overlaps
from sdtc_ros.detection.factory import START_SCORE
from sdtc_ros.tracking.motion import Motion
from sdtc_ros.types import Boxes, FramePoses

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrackingConfig:
    """Settings of the tracker.

    start_score: boxes scored from here on may start a track, weaker ones only continue one; min_iou: smallest overlap
    of a box with where its track was expected; confirm: successive detections until a track counts; lost_seconds: how
    long a lost track may be found again; frame_rate: the rate (frames a second) in which the motion model counts;
    keep_untracked: boxes that belong to no track get an id for their frame instead of being dropped: for evaluation,
    which in the papers' protocol asks for a pose of every box, however weak.
    """

    start_score: float = START_SCORE
    min_iou: float = 0.1
    confirm: int = 1
    lost_seconds: float = 1.0
    frame_rate: float = 30.0
    keep_untracked: bool = False


class Tracker:
    """Gives boxes their track ids, and says where the tracked people should be in a frame without boxes."""

    def __init__(self, config: TrackingConfig | None = None) -> None:
        """Nothing is imported before the first box comes: the library takes a second or two."""
        self._config = config or TrackingConfig()
        self._confirm = 1 if self._config.keep_untracked else self._config.confirm  # the library's ids would meet ours
        self._next_id = 1
        self.restart()

    def restart(self) -> None:
        """Forget all people (a gap, a new scene); ids go on counting."""
        self._tracker: Any = None
        self._first_id, self._first_stamp, self._seconds = self._next_id, 0, 0.0
        self._last = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
        self._last_stamp = 0
        self._speed = np.zeros((0, 2), np.float32)  # of the centres of `_last`, in pixels a second
        self._found = np.zeros(0, bool)  # whether each of `_last` was found then; the others were propagated
        self._found_at = np.zeros(0, np.int64)  # the stamp at which each was found
        self._times = np.zeros(0, np.int64)  # and how many times so far
        self._motion = Motion()

    def add_poses(self, result: FramePoses) -> None:
        """Take the poses of a keyframe, by which `predict` tells how its people move."""
        self._motion.add_poses(result)

    def update(self, boxes: Boxes, stamp: int, *, propagate: bool = False) -> Boxes:
        """The boxes that belong to a track, with ids; boxes that have ids keep them all.

        boxes: as detected in the frame of `stamp` (nanoseconds, later than the last one's); propagate: who has a track,
        was found last time and before, and is missed now, comes too, behind the others, where he should be.
        """
        tracked = self._associate(boxes, stamp) if boxes.ids is None else boxes
        assert tracked.ids is not None and self._last.ids is not None
        speed, times = np.zeros((len(tracked), 2), np.float32), np.ones(len(tracked), np.int64)
        _, here, there = np.intersect1d(tracked.ids, self._last.ids, assume_unique=True, return_indices=True)
        times[here] += self._times[there]
        seconds = (stamp - self._last_stamp) * 1e-9
        if seconds > 0:
            speed[here] = (_centres(tracked)[here] - _centres(self._last)[there]) / seconds
        if propagate and boxes.ids is None:
            missed = self._missed(tracked, stamp)
            tracked = _joined(tracked, _rows(self.predict(stamp), self._last.ids[missed]))
        else:
            missed = np.zeros(0, np.int64)
        self._found = np.arange(len(tracked)) < len(times)
        self._found_at = np.concatenate([np.full(len(times), stamp), self._found_at[missed]])
        self._times = np.concatenate([times, self._times[missed]])
        self._speed = np.concatenate([speed, self._speed[missed]])
        self._last, self._last_stamp = tracked, stamp
        self._motion.detected(stamp)
        return tracked

    def _missed(self, tracked: Boxes, stamp: int) -> IntArray:
        """Which rows of `_last` are to be propagated over a detection that found the `tracked`.

        Not who was propagated already, nor whose place a newcomer has: that is most likely himself under a new id.
        """
        assert tracked.ids is not None and self._last.ids is not None
        held = np.array([track.tracker_id + self._first_id for track in self._tracker.tracks], np.int64)
        lost = self._found & (self._times >= 2)
        lost &= np.isin(self._last.ids, held) & ~np.isin(self._last.ids, tracked.ids)
        expected = _rows(self.predict(stamp), self._last.ids[lost])
        new = tracked.xywh[~np.isin(tracked.ids, self._last.ids)]
        return np.flatnonzero(lost)[(overlaps(expected.xywh, new) < self._config.min_iou).all(axis=1)]

    def predict(self, stamp: int) -> Boxes:
        """The people of the last update, where they should be at `stamp` (nanoseconds), their boxes' sizes kept.

        Moved as their poses tell (see `motion`); where these cannot, at the constant speed of the last two updates. Who
        was propagated over the last update is among them only until `lost_seconds` after he was found.
        """
        assert self._last.ids is not None
        seconds = np.float32((stamp - self._last_stamp) * 1e-9)
        shift = self._motion.shifts(self._last.ids, stamp)
        xywh = self._last.xywh.copy()
        xywh[:, :2] += np.where(np.isnan(shift), self._speed * seconds, shift)
        here = self._found | (stamp - self._found_at <= self._config.lost_seconds * 1e9)
        return Boxes(xywh[here], self._last.scores[here], self._last.ids[here])

    def _associate(self, boxes: Boxes, stamp: int) -> Boxes:
        import supervision as sv

        if self._tracker is None:
            self._tracker, self._first_stamp, self._seconds = self._new_tracker(), stamp, -1.0
        # two frames of one stamp are a microsecond apart: the library refuses equal times
        self._seconds = max((stamp - self._first_stamp) * 1e-9, self._seconds + 1e-6)
        xyxy = np.concatenate([boxes.xywh[:, :2], boxes.xywh[:, :2] + boxes.xywh[:, 2:]], axis=1)
        found = self._tracker.update(
            sv.Detections(xyxy=xyxy, confidence=boxes.scores, data={"index": np.arange(len(boxes))}),
            timestamp=self._seconds,
        )
        ids = np.full(len(boxes), -1, np.int64)
        if len(found):
            ids[np.asarray(found.data["index"])] = found.tracker_id
        if self._confirm <= 1:
            self._name_newborn(xyxy, ids)
        if self._config.keep_untracked:
            lone = np.flatnonzero(ids < 0)
            free = max(self._next_id - self._first_id, int(ids.max(initial=-1)) + 1)
            ids[lone] = free + np.arange(len(lone))
        kept = np.flatnonzero(ids >= 0)
        ids = ids[kept] + self._first_id
        self._next_id = max(self._next_id, int(ids.max(initial=-1)) + 1)
        return Boxes(boxes.xywh[kept], boxes.scores[kept], ids)

    def _name_newborn(self, xyxy: FloatArray, ids: npt.NDArray[np.int64]) -> None:
        """Give the tracks that were born in this update their id at once, and write it to `ids`."""
        for track in self._tracker.tracks:
            if track.tracker_id < 0:
                distance = np.abs(xyxy - track.get_state_bbox()).sum(axis=1)
                track.tracker_id = self._next_id - self._first_id
                self._next_id += 1
                ids[np.where(ids < 0, distance, np.inf).argmin()] = track.tracker_id

    def _new_tracker(self) -> Any:
        from trackers import ByteTrackTracker

        config = self._config
        return ByteTrackTracker(
            lost_track_buffer=round(config.lost_seconds * 30),  # the library counts it in 30ths of a second
            frame_rate=config.frame_rate,
            track_activation_threshold=config.start_score,
            high_conf_det_threshold=config.start_score,
            minimum_consecutive_frames=self._confirm,
            minimum_iou_threshold=config.min_iou,
        )


def _rows(boxes: Boxes, ids: IntArray) -> Boxes:
    """Those of these ids."""
    assert boxes.ids is not None
    rows = np.isin(boxes.ids, ids)
    return Boxes(boxes.xywh[rows], boxes.scores[rows], boxes.ids[rows])


def _joined(one: Boxes, other: Boxes) -> Boxes:
    assert one.ids is not None and other.ids is not None
    xywh, scores = np.concatenate([one.xywh, other.xywh]), np.concatenate([one.scores, other.scores])
    return Boxes(xywh, scores, np.concatenate([one.ids, other.ids]))


def _centres(boxes: Boxes) -> FloatArray:
    return np.asarray(boxes.xywh[:, :2] + boxes.xywh[:, 2:] / 2, np.float32)
