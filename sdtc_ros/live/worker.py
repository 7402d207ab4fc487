# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The live half of the node that needs no ROS: newest frame wins, one worker thread, and every frame accounted for.

Messages are put into a slot that holds one; a newer one takes an older one's place, so latency cannot grow. The
worker turns the message into a frame, runs the pipeline and hands the answer on. At any time

    received = answered + replaced + too old + damaged + waiting,

where waiting are the slot's frame, the one at work and the keyframes whose lookahead has not arrived.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any, Generic, TypeVar

from sdtc_ros.errors import InputError
from sdtc_ros.image_messages import frame_of_message
from sdtc_ros.messages import stamp_of
from sdtc_ros.pipeline import Pipeline
from sdtc_ros.poses import FramePoses

T = TypeVar("T")


class Slot(Generic[T]):
    """Holds the newest item until it is taken."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: T | None = None
        self.closed = False

    def put(self, item: T) -> bool:
        """Put an item in; whether an older one, not taken yet, had to go for it."""
        with self._changed:
            displaced = self._item is not None
            self._item = item
            self._changed.notify()
            return displaced

    def take(self, seconds: float) -> T | None:
        """The item, waited for up to `seconds`; None where none came, or the slot is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed or self._item is not None, seconds)
            item, self._item = (None if self.closed else self._item), None
            return item

    def close(self) -> None:
        """Wake whoever waits: nothing is given out any more."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()


@dataclass
class Counts:
    """What became of the frames received.

    replaced: a newer frame came before the worker was free; too_old: older than max_age; damaged: no image that could
    be understood; answered: keyframes whose poses were handed on; people: poses in all of them.
    """

    received: int = 0
    replaced: int = 0
    too_old: int = 0
    damaged: int = 0
    answered: int = 0
    people: int = 0

    @property
    def waiting(self) -> int:
        """Frames received of which nothing has become yet."""
        return self.received - self.replaced - self.too_old - self.damaged - self.answered

    def since(self, earlier: Counts) -> Counts:
        """What was counted after `earlier`."""
        return Counts(*(getattr(self, name) - getattr(earlier, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Report:
    """One period's figures: its length in seconds, its counts, and seconds each.

    latency: from the keyframe's stamp until its poses were handed on, by the node's clock; busy: work on a frame.
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
        if not self.latency:
            return f"{rates}, {dropped}"
        return (
            f"{rates}, {dropped}, latency p50 {1e3 * quantile(self.latency, 0.5):.0f} ms "
            f"p99 {1e3 * quantile(self.latency, 0.99):.0f} ms, work p50 {1e3 * quantile(self.busy, 0.5):.1f} ms, "
            f"{counts.people / max(counts.answered, 1):.1f} people a frame"
        )


def quantile(values: Iterable[float], part: float) -> float:
    """The value below which `part` of the values lie, the nearest that occurs; there must be one at least."""
    ordered = sorted(values)
    return ordered[round(part * (len(ordered) - 1))]


@dataclass(frozen=True)
class _Arrival:
    message: Any
    stamp: int  # the node's clock, nanoseconds


class LiveWorker:
    """A thread that runs a pipeline on the newest image message there is.

    hand_on, warn, failed are called in that thread: with each answer; with a sentence about a frame left out; once,
    with the exception that ended the thread. now is the clock of the stamps (nanoseconds), max_age the age in seconds
    from which a frame is dropped (0: none).
    """

    def __init__(
        self,
        pipeline: Pipeline,
        hand_on: Callable[[FramePoses], None],
        *,
        warn: Callable[[str], None],
        failed: Callable[[Exception], None],
        now: Callable[[], int],
        max_age: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.counts = Counts()
        self._pipeline, self._hand_on, self._warn, self._failed = pipeline, hand_on, warn, failed
        self._now, self._max_age = now, max_age
        self._slot: Slot[_Arrival] = Slot()
        self._latency: deque[float] = deque(maxlen=10_000)
        self._busy: deque[float] = deque(maxlen=10_000)
        self._reported, self._reported_at = Counts(), monotonic()
        self._thread = threading.Thread(target=self._run, name="sdtc-worker", daemon=True)

    def start(self) -> None:
        """Forget what the pipeline knows of an earlier stream, and begin."""
        self._pipeline.reset()
        self._thread.start()

    def stop(self, seconds: float | None) -> bool:
        """Ask the thread to end after the frame it works on; whether it did within `seconds` (None: wait for it)."""
        self._slot.close()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def offer(self, message: Any) -> None:
        """A message arrived (called in the subscriber's thread; does no work)."""
        self.counts.received += 1
        if self._slot.put(_Arrival(message, self._now())):
            self.counts.replaced += 1

    def report(self) -> Report:
        """The figures since the last call."""
        counts, moment = replace(self.counts), monotonic()
        report = Report(
            moment - self._reported_at, counts.since(self._reported), tuple(self._latency), tuple(self._busy)
        )
        self._reported, self._reported_at = counts, moment
        self._latency.clear()
        self._busy.clear()
        return report

    @property
    def seconds_since_report(self) -> float:
        """How long ago the last report was made."""
        return monotonic() - self._reported_at

    def _run(self) -> None:
        patience = self._pipeline.config.max_gap
        try:
            while not self._slot.closed:
                arrival = self._slot.take(patience)
                if arrival is not None:
                    self._handle(arrival)
                elif not self._slot.closed:  # the camera fell silent: what waits for later frames is answered without
                    self._answer(self._pipeline.flush())
        except Exception as error:  # nobody else would hear of it; after `stop`, the outputs may be gone
            if not self._slot.closed:
                self._failed(error)

    def _handle(self, arrival: _Arrival) -> None:
        stamp = stamp_of(arrival.message.header) or arrival.stamp
        age, limit = (self._now() - stamp) * 1e-9, self._max_age()
        if 0 < limit < age:
            self.counts.too_old += 1
            self._warn(
                f"a frame of stamp {stamp} is left out: it is {age:.3g} s old, more than max_age allows ({limit:g} s); "
                "do camera and node have the same clock (use_sim_time)?"
            )
            return
        begin = monotonic()
        try:
            result = self._pipeline.process(frame_of_message(arrival.message, arrival.stamp))
        except InputError as error:
            self.counts.damaged += 1
            self._warn(str(error))
            return
        self._answer([] if result is None else [result])
        self._busy.append(monotonic() - begin)

    def _answer(self, results: list[FramePoses]) -> None:
        for result in results:
            if self._slot.closed:  # outputs may be gone already
                return
            self._hand_on(result)
            self._latency.append((self._now() - result.frame.stamp) * 1e-9)
            self.counts.people += len(result.poses)
            self.counts.answered += 1
