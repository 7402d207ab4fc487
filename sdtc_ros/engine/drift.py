# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The gate: how far an engine moves keypoints away from FP32 in ONNX Runtime on the CPU, and whether that is too far.

Both answer the same windows of synthetic people, in crop pixels. A joint that the reference itself cannot decide on
(two peaks of nearly the same height) says nothing about an engine and is left out. An engine that cuts its crops
itself is given the frames, so that its cutting is judged with the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.bundle import Bundle
from sdtc_ros.crops import crop_boxes, crop_images
from sdtc_ros.engine import CuttingEngine, Engine, FloatArray, Handle

WINDOWS = 16  # judged by, if nothing else is said
SEED = 1_900_000_000  # clips that neither training nor validation use
RIVAL = 0.9  # of the maximum: a second peak as high as this leaves the joint undecided
MOST_UNDECIDED = 0.5  # share of the joints that may be left out
Image = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Bounds:
    """The largest p50, p99 and maximum that are let pass, in crop pixels, and share of joints moved over a pixel."""

    p50: float
    p99: float
    max: float
    over_pixel: float


# Five times what was measured and more (docs/precision.md); one joint of 240 may lie between two cells and choose the
# other (FP16), or between two peaks (INT8).
BOUNDS = {
    "fp32": Bounds(p50=0.01, p99=0.05, max=0.5, over_pixel=0.0),
    "fp16": Bounds(p50=0.02, p99=0.1, max=4.0, over_pixel=0.005),
    "int8": Bounds(p50=0.2, p99=1.0, max=float("inf"), over_pixel=0.01),
}


@dataclass(frozen=True)
class Drift:
    """How far keypoints moved, in crop pixels.

    joints: compared; p50, p99, max: of their distances; over_pixel: share of them that moved by more than a pixel;
    score: largest difference of a joint's score; undecided: joints left out.
    """

    joints: int
    p50: float
    p99: float
    max: float
    over_pixel: float
    score: float
    undecided: int

    @classmethod
    def none(cls) -> Drift:
        """Of the reference itself."""
        return cls(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)

    def refusal(self, precision: str) -> str:
        """Why an engine of this precision must not be used, in part of a sentence; empty where it may."""
        if self == Drift.none():
            return ""
        if self.undecided > MOST_UNDECIDED * (self.joints + self.undecided):
            return (
                f"{self.undecided} of {self.joints + self.undecided} joints have no clear maximum in FP32 either, "
                "too many to judge by"
            )
        bounds = asdict(BOUNDS[precision])
        over = [n for n, bound in bounds.items() if not getattr(self, n) <= bound or not np.isfinite(getattr(self, n))]
        told = ", ".join(f"{_WORDS[name].format(getattr(self, name), bounds[name])}" for name in over)
        return f"keypoints drift from those of FP32 on the CPU: {told}" if over else ""

    def to_json(self, precision: str) -> dict[str, Any]:
        """For model.json, with the bounds; None is a bound that is none."""
        bounds = {name: value if np.isfinite(value) else None for name, value in asdict(BOUNDS[precision]).items()}
        return asdict(self) | {"allowed": bounds}

    def __str__(self) -> str:
        """The figures in one line."""
        return (
            f"p50 {self.p50:.2g}, p99 {self.p99:.2g}, max {self.max:.2g} px over {self.joints} joints, "
            f"{self.over_pixel:.1%} over a pixel, scores within {self.score:.2g}; {self.undecided} undecided left out"
        )


_WORDS = {
    "p50": "half of them by {:.3g} px or more (allowed {:g})",
    "p99": "the 99th percentile by {:.3g} px (allowed {:g})",
    "max": "one by {:.3g} px (allowed {:g})",
    "over_pixel": "{:.1%} of them by more than a pixel (allowed {:.1%})",
}


def measure_drift(engine: Engine, bundle: Bundle, *, windows: int = WINDOWS, threads: int = 0) -> Drift:
    """Run the engine and the reference on synthetic people; threads: of the reference, 0 for the runtime's choice."""
    from sdtc_ros.engine.onnx import OnnxEngine

    reference = OnnxEngine(bundle, threads=threads)
    expected, maps, got = [], [], []
    for frames, boxes in clips(bundle.input_size, bundle.delta, windows):
        ours, theirs = (_windows(one, bundle, frames, boxes) for one in (reference, engine))
        expected.append(reference.estimate(ours)[0])
        maps.append(reference.heatmaps(ours))
        alone = engine.estimate(theirs[:1])[0]  # a batch of one, and one of all others
        rest = [engine.estimate(theirs[1:])[0]] if len(theirs) > 1 else []
        got.append(np.concatenate([alone, *rest]))
    return compare(np.concatenate(got), np.concatenate(expected), np.concatenate(maps))


def compare(got: FloatArray, expected: FloatArray, heatmaps: FloatArray) -> Drift:
    """Keypoints of both sides (N x K x 3) and the reference's heatmaps (N x K x h x w) -> Drift."""
    with np.errstate(invalid="ignore"):
        moved = np.linalg.norm(got[..., :2] - expected[..., :2], axis=-1)
        score = np.abs(got[..., 2] - expected[..., 2]).max(initial=0.0)
    clear = decided(heatmaps)
    distances = np.where(np.isfinite(moved), moved, np.inf)[clear]
    if not len(distances):
        return Drift(0, 0.0, 0.0, 0.0, 0.0, float(score), int(clear.size))
    p50, p99 = (float(np.quantile(distances, share, method="higher")) for share in (0.5, 0.99))
    over = float(np.mean(distances > 1.0))
    return Drift(len(distances), p50, p99, float(distances.max()), over, float(score), int((~clear).sum()))


def decided(heatmaps: FloatArray) -> npt.NDArray[np.bool_]:
    """N x K: there is a maximum, and no other peak (two cells away or more) comes up to RIVAL of it."""
    count, joints, height, width = heatmaps.shape
    best = heatmaps.max(axis=(2, 3))
    at = heatmaps.reshape(count, joints, -1).argmax(axis=2)
    rows, columns = (np.arange(length) for length in (height, width))
    row_far = np.abs(rows - (at // width)[..., None]) >= 2
    column_far = np.abs(columns - (at % width)[..., None]) >= 2
    far = row_far[..., :, None] | column_far[..., None, :]
    padded = np.pad(heatmaps, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    around = [padded[:, :, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    peaks = far & (heatmaps >= np.maximum.reduce(around))
    rival = np.where(peaks, heatmaps, -np.inf).max(axis=(2, 3))
    return np.asarray((best > 0) & (rival < RIVAL * best))


def clips(size: tuple[int, int], delta: int, count: int) -> Iterator[tuple[list[Image], FloatArray]]:
    """Windows of synthetic people: 2 * delta + 1 frames and N crop boxes (xywh) each, `count` windows in all."""
    from sdtc_ros.synthetic import SceneConfig, render_clip  # slow to import, and the robot may never ask

    seed = SEED
    while count > 0:
        clip = render_clip(SceneConfig(frames=2 * delta + 1), seed)
        people = np.flatnonzero(clip.visible[delta].sum(axis=1) >= 3)[:count]  # joints enough to have been detected
        if len(people):
            yield list(clip.frames), crop_boxes(clip.boxes[delta, people], size[0] / size[1])
        seed, count = seed + 1, count - len(people)


def _windows(engine: Engine, bundle: Bundle, frames: list[Image], boxes: FloatArray) -> list[list[Handle]]:
    """Every person's window of handles."""
    if isinstance(engine, CuttingEngine):
        handles = engine.encode_from([(frame, boxes) for frame in frames])
    else:
        handles = engine.encode(np.concatenate([crop_images(frame, boxes, bundle.input_size) for frame in frames]))
    return [handles[person :: len(boxes)] for person in range(len(boxes))]
