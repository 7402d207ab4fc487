# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a replay remembers of itself for the report: a few numbers a frame, and a handful of images."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses

STAGES = ("read", "detect", "track", "crop", "encode", "estimate", "write")
PIPELINE_STAGES = STAGES[1:-1]
_MAX_SAMPLES, _SAMPLE_WIDTH = 16, 960


@dataclass
class Track:
    """The life of a track id: first and last second, in how many frames, and the sum of its pose scores."""

    first: float
    last: float
    frames: int = 0
    score: float = 0.0


@dataclass
class Sample:
    """An image for the report: an annotated frame as JPEG, its number and how many people are in it."""

    number: int
    people: int
    jpeg: bytes


@dataclass
class RunStatistics:
    """Figures of a run; some 50 bytes a frame, so that 100 000 frames stay small.

    seconds: the time since the first keyframe by the stamps, which stands still where the clock was set back (set_back:
    how often); people: how many are in it; latency: seconds by stage, one entry a keyframe that has the stage; total:
    the pipeline's time a keyframe; joint_scores: sum and number by joint; duplicates: poses left out (see FramePoses).
    """

    skeleton: Skeleton
    seconds: array[float] = field(default_factory=lambda: array("d"))
    people: array[int] = field(default_factory=lambda: array("H"))
    latency: dict[str, array[float]] = field(default_factory=dict)
    total: array[float] = field(default_factory=lambda: array("f"))
    tracks: dict[int, Track] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    wall: float = 0.0
    set_back: int = 0
    duplicates: int = 0

    def __post_init__(self) -> None:
        """Make room for the sums by joint."""
        self.joint_scores = np.zeros((len(self.skeleton), 2))
        self.score_histogram = np.zeros(20, np.int64)
        self._stride = 1
        self._last_stamp = 0

    def add(self, result: FramePoses, timings: dict[str, float]) -> None:
        """Take the figures of one keyframe; timings are seconds by stage."""
        step = result.frame.stamp - self._last_stamp if self.seconds else 0
        self._last_stamp = result.frame.stamp
        self.set_back += step < 0
        now = (self.seconds[-1] if self.seconds else 0.0) + max(step, 0) / 1e9
        self.seconds.append(now)
        self.people.append(min(len(result.poses), 65535))
        self.duplicates += len(result.duplicates)
        for stage, spent in timings.items():
            self.latency.setdefault(stage, array("f")).append(spent)
        self.total.append(sum(timings.get(stage, 0.0) for stage in PIPELINE_STAGES))
        for pose in result.poses:
            track = self.tracks.setdefault(pose.track_id, Track(now, now))
            track.last, track.frames, track.score = now, track.frames + 1, track.score + pose.score
            self.joint_scores[:, 0] += pose.keypoints[:, 2]
            self.joint_scores[:, 1] += 1
            self.score_histogram[int(np.clip(pose.score * 20, 0, 19))] += 1

    def wants_sample(self) -> bool:
        """Whether the next keyframe's image is sampled: evenly spread over a run of unknown length."""
        return len(self.seconds) % self._stride == 0

    def sample(self, number: int, people: int, image: npt.NDArray[np.uint8]) -> None:
        """Keep an image (H x W x 3 uint8 BGR); of too many every other one is dropped."""
        self.samples.append(Sample(number, people, _jpeg(image)))
        if len(self.samples) > _MAX_SAMPLES:
            self.samples = self.samples[::2]
            self._stride *= 2

    def percentiles(self, stage: str) -> tuple[float, float, float]:
        """p50, p95, p99 of a stage ('total': the pipeline's) in milliseconds."""
        values = np.asarray(self.total if stage == "total" else self.latency[stage])
        p50, p95, p99 = np.percentile(values, [50, 95, 99]) * 1000
        return float(p50), float(p95), float(p99)


def _jpeg(image: npt.NDArray[np.uint8]) -> bytes:
    height, width = image.shape[:2]
    if width > _SAMPLE_WIDTH:
        size = (_SAMPLE_WIDTH, round(height * _SAMPLE_WIDTH / width))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 82])[1])
