# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How many later frames a keyframe waits for, so that the wait is bounded in seconds, and whether it has neighbours.

A lookahead counts frames. Where the node keeps up with its camera, two frames at 30 Hz are 67 ms; where it works on
three frames a second, the same two are 670 ms, and the poses are of no use to a robot. So the lookahead shrinks until
wait and work together take what they would at the camera's own rate, or the wait what parameter lookahead_wait allows.

Windows give way next. Where the node falls behind its camera, neighbours lie far apart in time and say little, and with
a model that takes no moves a person who has moved far between two frames is encoded in all of the window again. So
keyframes are then estimated alone, until the node keeps up and windows are tried again. Knows no ROS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import fmean
from time import monotonic

AUTOMATIC = -1.0  # lookahead_wait: as long as wait and work take no longer than at the camera's rate
INTERVALS = 9  # the rates are means over so many of the last intervals, without the longest
ENOUGH = 3  # intervals before which a rate is not known
SLACK = 1.05  # by which wait and work may exceed the automatic bound: rates are never even
KEEPS_UP = 1.25  # camera periods a frame up to which the node keeps up
BEHIND = 2.0  # camera periods a frame from which windows are given up: fewer than half of the frames are worked on
FIRST_TRIAL, LAST_TRIAL = 2.0, 60.0  # seconds until windows are tried again: twice as long after every failure
GROWTH = 0.97  # of the bound, within which a longer lookahead must stay: it does not go back and forth


class LookaheadLimit:
    """The lookahead of one camera's stream. `heard` is called in the subscriber's thread, all else in the worker's."""

    def __init__(self, lookahead: int, clock: Callable[[], float] = monotonic) -> None:
        """lookahead: frames, as asked for: the most that there will be; clock: seconds."""
        self.asked = self.frames = lookahead
        self._clock = clock
        self._heard = _Rate()
        self._taken = _Rate()
        self._windows = _Windows()

    @property
    def alone(self) -> bool:
        """Whether keyframes are to be estimated without the frames around them."""
        return self._windows.alone

    def heard(self) -> None:
        """A frame was received, whether it will be worked on or not."""
        self._heard.mark(self._clock())

    def taken(self, wait: float = AUTOMATIC) -> int:
        """A frame is taken to be worked on; how many frames it may wait for. wait: seconds at most, or AUTOMATIC."""
        self._taken.mark(self._clock())
        self.frames = self._allowed(wait)
        return self.frames

    def _allowed(self, wait: float) -> int:
        camera, work = self._heard.interval, self._taken.interval
        if wait == 0:
            return 0
        if work is None or camera is None:
            return self.asked
        if wait < 0 and self._windows.update(work / camera, self._clock()):
            return 0
        bound, own = wait, 0.0
        if wait < 0:  # of an answer's age: with its own work, and half a period until it is taken
            bound, own = (self.asked + 1) * camera * SLACK, work + camera / 2 * (work > camera * SLACK)
        allowed, grown = (int(min(max((part * bound - own) / work, 0), self.asked)) for part in (1, GROWTH))
        return max(self.frames, grown) if allowed > self.frames else allowed


class _Windows:
    """Whole windows or keyframes alone, by how far the node falls behind."""

    def __init__(self) -> None:
        self.alone = False
        self._since = -LAST_TRIAL  # when they were last changed
        self._pause = FIRST_TRIAL

    def update(self, periods: float, now: float) -> bool:
        """Whether keyframes are on their own from here on; periods: the camera's, a frame worked on; now: seconds."""
        lasted = now - self._since
        if not self.alone and periods > BEHIND:
            self._pause = FIRST_TRIAL if lasted > LAST_TRIAL else min(2 * self._pause, LAST_TRIAL)
            self.alone, self._since = True, now
        elif self.alone and periods <= KEEPS_UP and lasted > self._pause:
            self.alone, self._since = False, now
        return self.alone


class _Rate:
    """The mean interval between the latest of a stream of events."""

    def __init__(self) -> None:
        self._moments: deque[float] = deque(maxlen=INTERVALS + 1)

    def mark(self, moment: float) -> None:
        self._moments.append(moment)

    @property
    def interval(self) -> float | None:
        """Seconds; None where too few have been marked. The longest does not count: one pause is no rate."""
        moments = list(self._moments)
        intervals = sorted(after - before for before, after in zip(moments, moments[1:], strict=False))
        return fmean(intervals[:-1]) or None if len(intervals) > ENOUGH else None
