# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""One camera's stream of frames on its way through its pipeline: what is left out, what is counted, what is processed.

Knows no ROS, only messages' attributes. `offer` is called in the subscriber's thread, all else in the worker's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

from sdtc_ros.errors import InputError
from sdtc_ros.messages.poses import stamp_of
from sdtc_ros.node.health.statistics import Counts, Meter
from sdtc_ros.node.loading import Model
from sdtc_ros.node.lookahead import LookaheadLimit
from sdtc_ros.pipeline.inference import Pending
from sdtc_ros.pipeline.pipeline import Found, Pipeline, check_image
from sdtc_ros.types import Boxes, Frame, FramePoses

LEFT_OUT, RESTARTED, BOXES = "left out", "restarted", "boxes"  # what a warning is about


@dataclass(frozen=True)
class Arrival:
    """An image message, when it came (nanoseconds by the node's clock), and what came for the same frame."""

    message: Any
    stamp: int
    detections: Any = None


class StreamHost(Protocol):
    """What a stream has of the camera that it belongs to; `now` and `warn` may be called in any thread.

    max_age: seconds from which a frame is too old and dropped (0: none is); max_wait: seconds without an image after
    which what waits for later frames is processed (0: the pipeline's max_gap); lookahead_wait: seconds that a frame may
    wait for later ones while frames come (see `lookahead`).
    """

    @property
    def max_age(self) -> float: ...  # noqa: D102

    @property
    def max_wait(self) -> float: ...  # noqa: D102

    @property
    def lookahead_wait(self) -> float: ...  # noqa: D102

    def now(self) -> int:
        """The clock of the stamps, nanoseconds."""

    def warn(self, about: str, sentence: str) -> object:
        """Say what went wrong; about: LEFT_OUT, RESTARTED or BOXES."""

    def read(self, arrival: Arrival) -> tuple[Frame, Boxes | None]:
        """The frame of a message, and its people where they came with it; raises InputError for a damaged one."""

    def publish(self, result: FramePoses) -> FramePoses:
        """Publish a keyframe's poses; returns them as they went out."""

    def published(self, result: FramePoses) -> None:
        """Make whatever else becomes of poses that went out, when their latency is noted."""


class Stream:
    """Frames of one camera in, poses out."""

    def __init__(self, pipeline: Pipeline, host: StreamHost, clock: Callable[[], float] = monotonic) -> None:
        """clock: seconds, by which waiting and rates go."""
        self.pipeline, self._host, self._clock = pipeline, host, clock
        self._put: Callable[[Arrival], bool] | None = None
        self._forget()

    @property
    def counts(self) -> Counts:
        """What became of the frames since `open`."""
        return self.meter.counts

    def open(self, put: Callable[[Arrival], bool]) -> None:
        """Start over, counts included; `put` passes an arrival on, and says whether an older one had to go for it."""
        self.pipeline.reset()
        self._forget()
        self._put = put

    def close(self) -> None:
        """Take no more messages and give nothing out any more: the outputs may be gone."""
        self._put = None

    def adopt(self, pipeline: Pipeline) -> None:
        """Go on with another pipeline, and as many later frames as its model takes."""
        self.pipeline = pipeline
        self._limit = LookaheadLimit(pipeline.max_lookahead, self._clock)

    def _forget(self) -> None:
        self.meter = Meter()
        self._limit = LookaheadLimit(self.pipeline.max_lookahead, self._clock)
        self._newest: int | None = None  # stamp of the newest frame
        self._worked_at: float | None = None  # when the newest frame was worked on; None: nothing waits for later ones

    def offer(self, message: Any) -> None:
        """A message arrived (called in the subscriber's thread; does no work)."""
        if self.receive():
            self.pass_on(message)

    def receive(self) -> bool:
        """Count a message that arrived; whether it is wanted. `pass_on` or `leave_unmatched` must follow."""
        if self._put is None:
            return False
        self.counts.received += 1
        return True

    def pass_on(self, message: Any, detections: Any = None) -> None:
        """Put a message that was received where the worker finds it."""
        self._limit.heard()  # only what can be worked on: a detector that skips images is a slower camera
        put = self._put  # `close` may come at any time
        if put is not None and put(Arrival(message, self._host.now(), detections)):
            self.counts.replaced += 1

    def lost(self, count: int) -> None:
        """Messages were sent but never arrived, as the DDS tells (in the executor's thread)."""
        self.counts.lost += count

    def leave_unmatched(self) -> None:
        """A message that was received is left out: nothing came for it that it was to wait for."""
        self.counts.unmatched += 1

    def frame_of(self, arrival: Arrival) -> tuple[Frame, Boxes | None] | None:
        """The frame, and its people where they came with it; None (counted and reported) if too old or damaged."""
        stamp = stamp_of(arrival.message.header) or arrival.stamp
        if self._is_too_old(stamp):
            return None
        try:
            frame, people = self._host.read(arrival)
            check_image(frame)
        except InputError as error:
            self._leave_damaged(error)
            return None
        self._report_jumps(frame.stamp)
        return frame, people

    def take(self, frame: Frame, people: Boxes | None, found: Found | None) -> list[Pending]:
        """Let a frame into the pipeline; the keyframe that it makes ready. found: of `detect_together`."""
        try:
            self._bound_wait()
            pending = self._let_in(frame, people, found)
        except InputError as error:
            self._leave_damaged(error)
            return []
        self.counts.taken += 1
        self._worked_at = self._clock()
        return [] if pending is None else [pending]

    def _leave_damaged(self, error: InputError) -> None:
        self.counts.damaged += 1
        self._host.warn(LEFT_OUT, str(error))

    def _bound_wait(self) -> None:
        """Have frames wait for as many later ones as time allows; give out what has waited for longer than that."""
        frames = min(self._limit.taken(self._host.lookahead_wait), self.pipeline.max_lookahead)
        self.pipeline.ring.alone = self._limit.alone
        if frames == self.pipeline.lookahead:
            return
        self.pipeline.lookahead = frames
        for result in self.pipeline.drain(frames):
            self.publish(result)

    def _let_in(self, frame: Frame, people: Boxes | None, found: Found | None) -> Pending | None:
        """What `Pipeline.take` gives; boxes of it that are none are counted and reported."""
        before = self.pipeline.dropped_boxes
        pending = self.pipeline.take(frame, people, found)
        dropped = self.pipeline.dropped_boxes - before
        if dropped:
            self.counts.invalid_boxes += dropped
            self._host.warn(
                BOXES,
                f"{dropped} person boxes of the frame of stamp {frame.stamp} are invalid and were dropped (not finite, "
                "outside the image, or of a side under 1 pixel or over ten images); are they pixels of this image?",
            )
        return pending

    def time_left(self) -> float | None:
        """Seconds until the camera counts as silent; None where no frame waits for later ones."""
        if self._worked_at is None:
            return None
        limit = self._host.max_wait or self.pipeline.config.max_gap
        return max(0.0, self._worked_at + limit - self._clock())

    def publish_waiting(self) -> None:
        """Publish the results of all frames that wait for later ones, without those.

        Where the engine fails, frames that are not processed yet wait on, for a frame that comes or the next call.
        """
        self._worked_at = None
        for result in self.pipeline.drain():
            self.publish(result)

    def publish(self, result: FramePoses) -> None:
        """Publish a result and count it; does nothing after `close`."""
        if self._put is None:
            return
        result = self._host.publish(result)
        self.meter.answered(result, (self._host.now() - result.frame.stamp) * 1e-9)
        self._host.published(result)

    def worked(self, seconds: float) -> None:
        """Note how long a frame was worked on, other cameras' frames of its batch included."""
        if self._worked_at is not None:  # a slow model's work does not count as silence
            self._worked_at = self._clock()
        self.meter.worked(seconds)

    def _is_too_old(self, stamp: int) -> bool:
        age, limit = (self._host.now() - stamp) * 1e-9, self._host.max_age
        if not 0 < limit < age:
            return False
        self.counts.too_old += 1
        self._host.warn(
            LEFT_OUT,
            f"the frame of stamp {stamp} is dropped: it is {age:.3g} s old, more than max_age allows ({limit:g} s); "
            "do camera and node use the same clock (use_sim_time)?",
        )
        return True

    def _report_jumps(self, stamp: int) -> None:
        """Report stamps that go back, at which the pipeline starts over."""
        if self._newest is not None and stamp < self._newest:
            self.counts.restarts += 1
            self._host.warn(
                RESTARTED,
                f"the stamps went back by {(self._newest - stamp) * 1e-9:.3g} s, to {stamp} (a looping bag, a clock "
                "that was set, two cameras on one topic?): tracks and windows start over",
            )
        self._newest = stamp


def restart(streams: Sequence[Stream]) -> None:
    """Answer what waits in all streams, then start their tracks and windows over; track ids go on counting.

    Where answering raises, all go on with the tracks that they have.
    """
    for stream in streams:
        stream.publish_waiting()
    for stream in streams:
        stream.pipeline.reset()


def change_over(streams: Sequence[Stream], model: Model) -> None:
    """Answer what waits in all streams, then put them all on another model, with their people and ids.

    Whatever is raised on the way, the streams still share one engine: the present one. Raises UsageError where the
    model's delta is smaller than the lookahead asked for.
    """
    successors = [stream.pipeline.successor(model.bundle, model.engine) for stream in streams]
    for stream in streams:
        stream.publish_waiting()
    for stream, successor in zip(streams, successors, strict=True):
        stream.adopt(successor)
