# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What became of a camera's frames, counted and timed: for the diagnostics and for the line in the log."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from time import monotonic

from sdtc_ros.types import FramePoses

WINDOW = 5.0  # seconds that the rates, latencies and drops of the diagnostics are taken over
OTHER_CLOCK = 3600.0  # seconds between stamp and result from which they are of two clocks, and tell no latency
HELD_FIGURES = 10_000  # of latency and of work, until the next report


@dataclass
class Counts:
    """What became of the frames received.

    replaced: a newer frame came before the worker was free; too_old: older than max_age; damaged: no image that could
    be understood; answered: keyframes whose poses were published; people: poses in all of them; restarts: how often
    the stamps went back; unmatched: no detections came for it (where those come from outside); taken: let into the
    pipeline, processed or not yet; invalid_boxes: person boxes that were none (see detection.boxes.usable_boxes);
    duplicates: poses left out, as they showed somebody twice; lost: sent but never received, where the DDS tells.
    """

    received: int = 0
    replaced: int = 0
    too_old: int = 0
    damaged: int = 0
    answered: int = 0
    people: int = 0
    restarts: int = 0
    unmatched: int = 0
    taken: int = 0
    invalid_boxes: int = 0
    duplicates: int = 0
    lost: int = 0

    @property
    def waiting(self) -> int:
        """Frames received of which nothing has become yet."""
        return self.received - self.replaced - self.too_old - self.damaged - self.unmatched - self.answered

    def since(self, earlier: Counts) -> Counts:
        """What was counted after `earlier`."""
        return Counts(*(getattr(self, name) - getattr(earlier, name) for name in self.__dataclass_fields__))

    def sum(self) -> str:
        """Where all frames went, as a sum that holds."""
        unmatched = f"{self.unmatched} without detections + " if self.unmatched else ""
        return (
            f"{self.received} frames received = {self.answered} answered + {self.replaced} dropped for newer + "
            f"{self.too_old} too old + {unmatched}{self.damaged} damaged + {self.waiting} waiting"
        )


@dataclass(frozen=True)
class Report:
    """One period's figures: its length in seconds, its counts, and seconds each.

    latency: from the keyframe's stamp until its poses were published, by the node's clock; busy: work on a frame.
    """

    seconds: float
    counts: Counts
    latency: tuple[float, ...]
    busy: tuple[float, ...]

    def line(self) -> str:
        """The figures in one line of text."""
        counts, seconds = self.counts, max(self.seconds, 1e-9)
        rates = f"in {counts.received / seconds:.1f} Hz, out {counts.answered / seconds:.1f} Hz"
        dropped = f"dropped {counts.replaced} for newer, {counts.too_old} too old, {counts.damaged} damaged"
        if counts.unmatched:
            dropped += f", {counts.unmatched} without detections"
        if not self.latency or not self.busy:
            return f"{rates}, {dropped}"
        p50, p99 = (in_ms(quantile(self.latency, part), 0) for part in (0.5, 0.99))
        latency = (
            f"latency p50 {p50} ms p99 {p99} ms" if p50 and p99 else "latency unknown, the stamps are of another clock"
        )
        return (
            f"{rates}, {dropped}, {latency}, work p50 {1e3 * quantile(self.busy, 0.5):.1f} ms, "
            f"{counts.people / max(counts.answered, 1):.1f} people a frame"
        )


@dataclass(frozen=True)
class Figures:
    """One camera's last seconds.

    seconds: how many (up to WINDOW, less after the start); counts: of these seconds; total: since the start; latency:
    as a report's, one a result; stages: mean seconds a frame by stage; silent: seconds since the last image.
    """

    seconds: float
    counts: Counts
    total: Counts
    latency: tuple[float, ...]
    stages: Mapping[str, float]
    silent: float


Result = tuple[float, float, Mapping[str, float]]  # when (the meter's clock), latency, seconds by stage


class Meter:
    """Counts and times one camera's frames since it was made; may be asked in any thread.

    The counts are written by those who count. Every result is held once, for the longer of the times that `figures` and
    `report` look back over; who wants no reports asks for one all the same, so that nothing is held for it.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """clock: seconds, of the periods; latencies and work are given."""
        self.counts = Counts()
        self._clock, self._lock = clock, threading.Lock()
        self._results: deque[Result] = deque(maxlen=HELD_FIGURES)
        self._past: deque[tuple[float, Counts]] = deque([(clock(), Counts())])
        self._heard, self._heard_at = 0, clock()
        self._busy: deque[float] = deque(maxlen=HELD_FIGURES)
        self._reported, self._reported_at = Counts(), clock()

    def answered(self, result: FramePoses, latency: float) -> None:
        """A keyframe's poses were published `latency` seconds after its stamp."""
        with self._lock:
            moment = self._clock()
            self.counts.people += len(result.poses)
            self.counts.duplicates += len(result.duplicates)
            self.counts.answered += 1
            self._results.append((moment, latency, result.timings))
            while self._results[0][0] < min(moment - WINDOW, self._reported_at):
                self._results.popleft()

    def worked(self, seconds: float) -> None:
        """A frame was worked on for so long, other cameras' frames of its batch included."""
        with self._lock:
            self._busy.append(seconds)

    def figures(self) -> Figures:
        """The last seconds' figures; to be called about once a second."""
        with self._lock:
            moment, total = self._clock(), replace(self.counts)
            if total.received != self._heard:
                self._heard, self._heard_at = total.received, moment
            while len(self._past) > 1 and self._past[1][0] <= moment - WINDOW:
                self._past.popleft()
            begin, earlier = self._past[0]
            self._past.append((moment, total))
            recent = [result for result in self._results if result[0] >= moment - WINDOW]
        return Figures(
            seconds=moment - begin,
            counts=total.since(earlier),
            total=total,
            latency=tuple(latency for _, latency, _ in recent),
            stages=_means([timings for _, _, timings in recent]),
            silent=moment - self._heard_at,
        )

    def report(self) -> Report:
        """The figures since the last report."""
        with self._lock:
            moment, counts = self._clock(), replace(self.counts)
            latency = tuple(latency for at, latency, _ in self._results if at > self._reported_at)
            report = Report(moment - self._reported_at, counts.since(self._reported), latency, tuple(self._busy))
            self._busy.clear()
            self._reported, self._reported_at = counts, moment
        return report

    @property
    def seconds_since_report(self) -> float:
        """How long ago the last report was made."""
        return self._clock() - self._reported_at


def in_ms(latency: float, digits: int) -> str:
    """Milliseconds of a latency in seconds; empty where the stamps are of another clock than the node's."""
    return f"{1e3 * latency:.{digits}f}" if abs(latency) < OTHER_CLOCK else ""


def quantile(values: Iterable[float], part: float) -> float:
    """The value below which `part` of the values lie, the nearest that occurs; there must be one at least."""
    ordered = sorted(values)
    return ordered[round(part * (len(ordered) - 1))]


def _means(timings: list[Mapping[str, float]]) -> dict[str, float]:
    """Mean seconds a frame by stage, in the stages' own order; a stage that a frame did without counts as zero."""
    stages = dict.fromkeys(stage for entry in timings for stage in entry)
    return {stage: fmean(entry.get(stage, 0.0) for entry in timings) for stage in stages}
