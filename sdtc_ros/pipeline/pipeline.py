# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""From frames to poses: detect, track, crop, encode, estimate. The one pipeline behind node, replay and Python.

Frame t + lookahead comes in, keyframe t goes out; all people of a frame share one batch of crops and one batch of
windows, and so do several cameras' frames (see `inference`). Which frames a window holds, and when a crop moves, is
described in `window`. Knows no ROS and no files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import InitVar, dataclass, field
from pathlib import Path

import numpy as np

from sdtc_ros.detection.boxes import Detector, usable_boxes
from sdtc_ros.detection.factory import make_detector
from sdtc_ros.engine.base import Engine
from sdtc_ros.engine.select import EngineConfig, open_engine
from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.models.bundle import Bundle, load_bundle
from sdtc_ros.pipeline.inference import CropBuffer, Pending, Timings, infer, timed
from sdtc_ros.pipeline.places import Places
from sdtc_ros.pipeline.window import WindowRing
from sdtc_ros.tracking.tracker import Tracker, TrackingConfig
from sdtc_ros.types import Boxes, Frame, FramePoses

_log = logging.getLogger("sdtc_ros")

SPARE = 64  # boxes of a frame that are tracked beyond those that get poses, so that nobody is lost for another


@dataclass(frozen=True)
class PipelineConfig:
    """Settings of a pipeline.

    lookahead: frames seen beyond the keyframe, 0 to the model's delta (None: delta, as the papers do);
    crop_drift_threshold: the drift up to which a crop is held (see `window`), 0 for the papers' protocol;
    min_box_score: weaker boxes are dropped; detect_every: boxes are detected in every k-th frame and propagated by the
    poses between; max_people: the best scored of a frame get poses, who has one ahead of who has none (see `places`);
    max_gap: seconds between two frames after which nothing is propagated over; sticky: the former name of
    crop_drift_threshold, which it overrides.
    """

    lookahead: int | None = None
    crop_drift_threshold: float = 0.1
    min_box_score: float = 0.2
    detect_every: int = 1
    max_people: int = 64
    max_gap: float = 1.0
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    sticky: InitVar[float | None] = None

    def __post_init__(self, sticky: float | None) -> None:
        """Raise UsageError for a value without sense."""
        if sticky is not None:
            object.__setattr__(self, "crop_drift_threshold", sticky)
        for name, least in (("crop_drift_threshold", 0), ("min_box_score", 0), ("detect_every", 1), ("max_people", 1)):
            if not getattr(self, name) >= least:
                raise UsageError(f"{name} must be >= {least}, got {getattr(self, name)}")
        if not self.max_gap > 0:
            raise UsageError(f"max_gap must be > 0 seconds, got {self.max_gap}")


@dataclass(frozen=True)
class Found:
    """People that a detector found in a frame, and how long it took, for all frames of its batch."""

    boxes: Boxes
    seconds: float


class Pipeline:
    """Poses of a stream of frames, one camera or video a pipeline; not to be shared by threads."""

    def __init__(
        self,
        bundle: Bundle,
        engine: Engine,
        config: PipelineConfig | None = None,
        detector: Detector | None = None,
        *,
        phase: int = 0,
        runs_on: EngineConfig | None = None,
    ) -> None:
        """Put a pipeline together; without a detector it is the one that ships, made when a frame comes without boxes.

        runs_on: what that is opened on (None: the CPU); phase: by how many frames its second detection comes early, so
        that pipelines that run side by side do not all ask the detector in the same frame.
        """
        self.bundle, self.engine, self.config = bundle, engine, config or PipelineConfig()
        self.max_lookahead = bundle.delta if self.config.lookahead is None else self.config.lookahead
        if not 0 <= self.max_lookahead <= bundle.delta:
            raise UsageError(f"lookahead must be between 0 and {bundle.delta} for this model, got {self.max_lookahead}")
        self.lookahead = self.max_lookahead  # may be less for a while, see `drain`
        self.dropped_boxes = 0  # given or detected, but invalid (see usable_boxes)
        self.surplus_boxes = 0  # given or detected, of people beyond max_people
        self._detector, self._phase, self._runs_on = detector, phase, runs_on
        self._tracker = Tracker(self.config.tracking)
        width, height = bundle.input_size
        self.ring = WindowRing(bundle.delta, width / height, self.config.crop_drift_threshold, bundle.moves)
        self._buffer, self._places = CropBuffer(), Places()
        self._warned = False
        self.reset()

    @classmethod
    def from_bundle(
        cls,
        folder: str | Path,
        config: PipelineConfig | None = None,
        *,
        detector: Detector | None = None,
        engine: EngineConfig | None = None,
    ) -> Pipeline:
        """A pipeline on FP32 on the CPU, or on what `engine` says; raises as load_bundle and open_engine."""
        bundle = load_bundle(folder)
        return cls(bundle, open_engine(bundle, engine), config, detector, runs_on=engine)

    def reset(self) -> None:
        """Forget frames, people and what still waits for a result; track ids go on counting."""
        self.ring.clear()
        self._tracker.restart()
        self._next = 0  # number of the keyframe to be processed next
        self._given = False  # whether the boxes that people were last updated with came from outside
        self._stamp: int | None = None
        self._shape: tuple[int, ...] = ()
        self._since_detection = 0
        self._places.clear()

    def configure(self, config: PipelineConfig) -> None:
        """Take other settings from the next frame on; raises UsageError for another lookahead."""
        if config.lookahead != self.config.lookahead or config.tracking != self.config.tracking:
            raise UsageError("lookahead and tracking cannot be changed on a running pipeline")
        self.config = config
        self.ring.threshold = config.crop_drift_threshold

    def successor(self, bundle: Bundle, engine: Engine) -> Pipeline:
        """A pipeline on another model that goes on with this one's people and ids, its windows started over.

        What still waits is this one's to answer (`flush`), and after that it is not to be used. Raises UsageError where
        the model's delta is smaller than the lookahead asked for.
        """
        successor = Pipeline(bundle, engine, self.config, self._detector, phase=self._phase, runs_on=self._runs_on)
        successor._tracker, successor._since_detection = self._tracker, self._since_detection
        successor._places, successor._given = self._places, self._given
        successor._stamp, successor._shape, successor._warned = self._stamp, self._shape, self._warned
        successor.dropped_boxes, successor.surplus_boxes = self.dropped_boxes, self.surplus_boxes
        return successor

    def process(self, frame: Frame, boxes: Boxes | None = None) -> FramePoses | None:
        """Take one frame and answer the keyframe `lookahead` frames before it, or None while there is none yet.

        boxes: the people, where they are known; the detector is then not asked. The frame's image is kept, not
        copied, for 2 * delta + 1 frames: do not write to it. Raises InputError for an image of another form than
        H x W x 3 uint8.
        """
        pending = self.take(frame, boxes)
        return None if pending is None else infer([pending], self._buffer)[0]

    def take(self, frame: Frame, boxes: Boxes | None = None, found: Found | None = None) -> Pending | None:
        """The first part of `process`: all but crops, encoder and estimate, which `inference.infer` does for several.

        found: what `together.detect_together` found for this frame.
        """
        check_image(frame)
        timings: Timings = {} if found is None else {"detect": found.seconds}
        self._cut_at_gaps(frame)
        people = self._people(frame, boxes, found, timings)
        with timed([timings], "track"):
            newest = self.ring.push(frame, people, self._distinct)
        return self._pending(timings) if newest - self._next >= self.lookahead else None

    def flush(self) -> list[FramePoses]:
        """The keyframes that still wait, at the end of the input; frames that never came are clamped to the last."""
        return list(self.drain())

    def drain(self, lookahead: int = 0) -> Iterator[FramePoses]:
        """The keyframes that wait though `lookahead` later frames have come, one by one; by default all.

        To be used up before the next frame where self.lookahead was lowered. A keyframe that the engine fails at goes
        on waiting.
        """
        while self._next + lookahead <= self.ring.newest:
            number = self._next
            try:
                results = infer([self._pending({})], self._buffer)
            except Exception:
                self._next = number
                raise
            yield from results

    def _cut_at_gaps(self, frame: Frame) -> None:
        """Let windows and tracks end where time jumps or the image changes its size."""
        if self._starts_over(frame):
            self.ring.cut()
            self._tracker.restart()
            self._places.clear()
            self._since_detection = 0
        self._stamp, self._shape = frame.stamp, frame.image.shape

    def _starts_over(self, frame: Frame) -> bool:
        step = 0 if self._stamp is None else frame.stamp - self._stamp
        changed = bool(self._shape) and frame.image.shape != self._shape
        return step < 0 or step > self.config.max_gap * 1e9 or changed

    @property
    def _distinct(self) -> bool:
        """Whether of poses that show the same person only one is answered: not where every box is to have its own."""
        return not (self._given or self.config.tracking.keep_untracked)

    @property
    def detector(self) -> Detector:
        """Who is asked for the people of a frame that comes without boxes; opened here where it is the default."""
        if self._detector is None:
            self._detector = make_detector(engine=self._runs_on)
        return self._detector

    def will_detect(self, frame: Frame) -> bool:
        """Whether the frame, coming without boxes, would be one in which the detector is asked."""
        check_image(frame)
        return self._starts_over(frame) or self._since_detection % self.config.detect_every == 0

    def _people(self, frame: Frame, boxes: Boxes | None, found: Found | None, timings: Timings) -> Boxes:
        """The frame's people with track ids: from the boxes given, detected, or expected."""
        config, propagate = self.config, boxes is None and self.config.detect_every > 1
        if boxes is None and self._since_detection % config.detect_every:
            self._since_detection += 1
            with timed([timings], "track"):
                return self._chosen(self._inside(self._tracker.predict(frame.stamp), frame), frame)
        self._given = boxes is not None
        if boxes is None:
            self._since_detection = 1 + (0 if self._since_detection else self._phase % config.detect_every)
            boxes = found.boxes if found is not None else self._detect(frame, timings)
        with timed([timings], "track"):
            usable = self._usable(boxes, frame)
            candidates = self._places.best(usable, config.max_people + SPARE)
            people = self._tracker.update(candidates, frame.stamp, propagate=propagate)
            # a box that starts no track is nobody's; who was propagated has no box
            self.surplus_boxes += len(usable) - len(candidates)
            self.surplus_boxes += max(0, min(len(candidates), len(people)) - config.max_people)
            return self._chosen(self._inside(people, frame) if propagate else people, frame)

    def _detect(self, frame: Frame, timings: Timings) -> Boxes:
        detector = self.detector
        with timed([timings], "detect"):
            return detector(frame.image)

    def _usable(self, boxes: Boxes, frame: Frame) -> Boxes:
        """Those of the boxes given or detected that a person can be in; the others are counted."""
        height, width = frame.image.shape[:2]
        kept, dropped = usable_boxes(boxes, (width, height), self.config.min_box_score)
        self.dropped_boxes += dropped
        if dropped and dropped == len(boxes) and not self._warned:
            self._warned = True
            _log.warning(
                "all %d boxes of the frame of stamp %d are invalid (not finite, empty, huge, outside its %d x %d "
                "image, or scored outside 0 to 1) and were dropped; are they pixels of this image?",
                dropped, frame.stamp, width, height,
            )  # fmt: skip
        return kept

    def _inside(self, people: Boxes, frame: Frame) -> Boxes:
        """Of people some of whom were propagated, those who are still in the image."""
        height, width = frame.image.shape[:2]
        return usable_boxes(people, (width, height), self.config.min_box_score)[0]

    def _chosen(self, people: Boxes, frame: Frame) -> Boxes:
        """Of the people tracked, those who get poses."""
        most, seconds = self.config.max_people, self.config.tracking.lost_seconds
        return self._places.choose(people, most, frame.stamp, seconds, self._distinct)

    def _pending(self, timings: Timings) -> Pending:
        """The next keyframe."""
        with timed([timings], "track"):
            keyframe = self.ring.keyframe(self._next)
        self._next += 1
        return Pending(self.engine, self.bundle.input_size, keyframe, timings, self._answered)

    def _answered(self, result: FramePoses) -> None:
        """Take notice of a keyframe's poses, and let others have the places of its duplicates for a while."""
        self._tracker.add_poses(result)
        self._places.answered((pose.track_id for pose in result.poses), result.duplicates)


def check_image(frame: Frame) -> None:
    """Raise InputError unless the frame's image is H x W x 3 uint8, with pixels."""
    image = frame.image
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        form = f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"the frame of stamp {frame.stamp} is {form}, not an H x W x 3 uint8 BGR image")
    if 0 in image.shape:
        raise InputError(f"the frame of stamp {frame.stamp} has no pixels")
