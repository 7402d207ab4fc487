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

Windows give way next. Where the node falls behind its camera, neighbours lie far apart in time and say little, and
a person who has moved far between two frames is encoded in all of the window again. So keyframes are then estimated
alone, until the node keeps up and windows are tried again. Knows no ROS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import fmean
from time import monotonic

AUTOMATIC = -1.0  # lookahead_wait: as long as wait and work take no longer than at the camera's rate
INTERVALS = 9  # rates are means over so many of the last intervals
ENOUGH = 3  # intervals before which a rate is not known
KEEPS_UP = 1.15  # camera periods a frame up to which the node keeps up: of nine frames one may be missed
AGAIN = 1.05  # the same for a node that fell behind, so that it does not go back and forth
BEHIND = 2.0  # camera periods a frame from which windows are given up: fewer than half of the frames are worked on
TRIED = 1.25  # the same from which on windows are tried again
FIRST_TRIAL, LAST_TRIAL = 2.0, 60.0  # seconds until windows are tried again: twice as long after every failure
GROWTH = 0.9  # of the bound, within which a longer lookahead must stay


class LookaheadLimit:
    """The lookahead of one camera's stream. `heard` is called in the subscriber's thread, all else in the worker's."""

    def __init__(self, lookahead: int, clock: Callable[[], float] = monotonic) -> None:
        """lookahead: frames, as asked for: the most that there will be; clock: seconds."""
        self.asked = self.frames = lookahead
        self._clock = clock
        self._arrivals: deque[float] = deque(maxlen=INTERVALS + 1)
        self._count = 0  # of frames heard
        self._counts: deque[int] = deque(maxlen=INTERVALS + 1)  # when the latest frames were taken
        self._windows = _Windows()

    @property
    def alone(self) -> bool:
        """Whether keyframes are to be estimated without the frames around them."""
        return self._windows.alone

    def heard(self) -> None:
        """A frame was received, whether it will be worked on or not."""
        self._arrivals.append(self._clock())
        self._count += 1

    def taken(self, wait: float = AUTOMATIC) -> int:
        """A frame is taken to be worked on; how many frames it may wait for. wait: seconds at most, or AUTOMATIC."""
        self._counts.append(self._count)
        self.frames = self._allowed(wait)
        return self.frames

    def _allowed(self, wait: float) -> int:
        camera, periods = self._interval(), self._periods()
        if wait == 0:
            return 0
        if periods is None or camera is None:
            return self.asked
        if wait < 0:
            if self._windows.update(periods, self._clock()):
                return 0
            if periods <= (KEEPS_UP if self.frames == self.asked else AGAIN):
                return self.asked
            # an answer's age in periods: half of one until the frame is taken, its own work, and what it waits for
            bound = (self.asked + 0.5) / periods - 1
        else:
            bound = wait / (periods * camera)
        allowed, grown = (int(min(max(part * bound, 0), self.asked)) for part in (1, GROWTH))
        return max(self.frames, grown) if allowed > self.frames else allowed

    def _periods(self) -> float | None:
        """Frames heard for one that is taken, at least 1; None where too few were."""
        counts = list(self._counts)
        return max(1.0, (counts[-1] - counts[0]) / (len(counts) - 1)) if len(counts) > ENOUGH + 1 else None

    def _interval(self) -> float | None:
        """The camera's, in seconds; None where too few frames were heard. The longest does not count: a pause."""
        moments = list(self._arrivals)
        intervals = sorted(after - before for before, after in zip(moments, moments[1:], strict=False))
        return fmean(intervals[:-1]) or None if len(intervals) > ENOUGH else None


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
        elif self.alone and periods <= TRIED and lasted > self._pause:
            self.alone, self._since = False, now
        return self.alone
