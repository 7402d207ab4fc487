# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Keyframes of several pipelines processed together: one batch of crops, one batch of windows for all their people.

A pipeline alone results through the same functions, as a batch of one. What pipelines share is the engine; frames,
tracks and windows stay each one's own, so the poses of a frame do not depend on who else is in the batch (but for the
last bits, where a runtime chooses other kernels for other batch sizes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from sdtc_ros.crops import covariance_to_image, crop_images, to_image
from sdtc_ros.engine.base import CuttingEngine, Engine, FloatArray, Handle
from sdtc_ros.errors import UsageError
from sdtc_ros.pipeline.duplicates import without_duplicates
from sdtc_ros.pipeline.window import Keyframe
from sdtc_ros.types import FramePoses, Pose

Timings = dict[str, float]


@dataclass(frozen=True)
class Pending:
    """A keyframe whose turn has come; to be processed before its pipeline takes another frame.

    engine, input_size: that pipeline's, the crop's (width, height); timings: seconds by stage spent so far on the frame
    that came in; report: called with the result.
    """

    engine: Engine
    input_size: tuple[int, int]
    keyframe: Keyframe
    timings: Timings
    report: Callable[[FramePoses], None]


class CropBuffer:
    """Memory for a batch of crops that is kept from one batch to the next (fresh pages are slow)."""

    def __init__(self) -> None:
        self._crops = np.empty((0, 0, 0, 3), np.uint8)

    def take(self, count: int, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Room for `count` crops of size (width, height): count x height x width x 3, valid until the next call."""
        width, height = size
        if count > len(self._crops) or self._crops.shape[1:3] != (height, width):
            self._crops = np.empty((count, height, width, 3), np.uint8)
        return self._crops[:count]


def infer(pending: Sequence[Pending], buffer: CropBuffer) -> list[FramePoses]:
    """The poses of all keyframes, each of another pipeline, with at most one `encode` and one `estimate`.

    The stages encode and estimate are shared: every result's timings say how long they took for all.
    """
    if any(one.engine is not pending[0].engine for one in pending):
        raise UsageError("pipelines that run in one batch must share one engine")
    _encode([one for one in pending if one.keyframe.missing], buffer)
    estimates = iter(_estimate([one for one in pending if len(one.keyframe)]))
    results = []
    for one in pending:
        poses = found = next(estimates) if len(one.keyframe) else []
        if one.keyframe.distinct:
            with timed([one.timings], "track"):
                poses = without_duplicates(found)
        answered = {pose.track_id for pose in poses}
        duplicates = tuple(pose.track_id for pose in found if pose.track_id not in answered)
        results.append(FramePoses(one.keyframe.frame, poses, one.timings, duplicates))
        one.report(results[-1])
    return results


def _encode(pending: Sequence[Pending], buffer: CropBuffer) -> None:
    """Cut and encode all crops that the keyframes' windows lack."""
    if not pending:
        return
    engine = pending[0].engine
    if isinstance(engine, CuttingEngine):
        cuts = [(frame.image, boxes) for one in pending for frame, boxes in one.keyframe.cuts()]
        with timed([one.timings for one in pending], "encode"):
            _store(pending, engine.encode_from(cuts))
        return
    crops = buffer.take(sum(one.keyframe.missing for one in pending), pending[0].input_size)
    done = 0
    for one in pending:
        with timed([one.timings], "crop"):
            for frame, boxes in one.keyframe.cuts():
                part = crops[done : done + len(boxes)]
                crop_images(frame.image, boxes, one.input_size, out=part)
                done += len(boxes)
    with timed([one.timings for one in pending], "encode"):
        _store(pending, engine.encode(crops))


def _store(pending: Sequence[Pending], handles: list[Handle]) -> None:
    """Give every keyframe the handles of its missing crops, which stand in the pending ones' order."""
    done = 0
    for one in pending:
        one.keyframe.store(handles[done : done + one.keyframe.missing])
        done += one.keyframe.missing


def _estimate(pending: Sequence[Pending]) -> list[list[Pose]]:
    """The poses of every keyframe, which must have people."""
    if not pending:
        return []
    with timed([one.timings for one in pending], "estimate"):
        windows = [row for one in pending for row in one.keyframe.windows()]
        found = (one.keyframe.moves(one.input_size) for one in pending)
        moves = [part for part in found if part is not None]  # of all or of none: they share one engine
        keypoints, covariance = pending[0].engine.estimate(windows, np.concatenate(moves) if moves else None)
        ends = np.cumsum([len(one.keyframe) for one in pending])[:-1]
        parts = zip(pending, np.split(keypoints, ends), np.split(covariance, ends), strict=True)
        return [_poses(one.keyframe, one.input_size, places, spreads) for one, places, spreads in parts]


def _poses(keyframe: Keyframe, size: tuple[int, int], keypoints: FloatArray, covariance: FloatArray) -> list[Pose]:
    """Keypoints and covariance (N x K x 3) from crop pixels to image pixels, a Pose a person in the boxes' order."""
    placed = np.concatenate([to_image(keypoints[..., :2], keyframe.crops, size), keypoints[..., 2:]], axis=2)
    covariance = covariance_to_image(covariance, keyframe.crops, size)
    scores = keypoints[..., 2].mean(axis=1) * keyframe.scores
    people = zip(keyframe.ids.tolist(), keyframe.scores.tolist(), scores.tolist(), strict=True)
    return [
        Pose(track, keyframe.boxes[i], box_score, placed[i], covariance[i], score)
        for i, (track, box_score, score) in enumerate(people)
    ]


@contextmanager
def timed(all_timings: Sequence[Timings], stage: str) -> Iterator[None]:
    """Add the time of the block (seconds) to timings[stage], for all of them."""
    start = perf_counter()
    try:
        yield
    finally:
        seconds = perf_counter() - start
        for timings in all_timings:
            timings[stage] = timings.get(stage, 0.0) + seconds
