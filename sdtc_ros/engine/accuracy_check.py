# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The gate: how far an engine moves keypoints away from FP32 in ONNX Runtime on the CPU, and whether that is too far.

Both are given the same windows of synthetic people, in crop pixels. A joint that the reference itself cannot decide on
says nothing about an engine and is left out: two peaks of nearly the same height, or a place that moves by more than a
pixel where the image's change by one level, as where two people are equally in the crop's middle. An engine that crops
itself is given the frames, so that its cutting is judged with the rest. GPUs have kernels of their own for each batch
size, so every size is judged by itself, and the worst counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from itertools import cycle, groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.crops import crop_boxes, crop_images
from sdtc_ros.engine.base import CuttingEngine, Engine, FloatArray, Handle, batches_up_to, no_moves
from sdtc_ros.models.bundle import Bundle

GATE = 7  # what is measured and how: raised with every change to it, so that cached verdicts are not used
WINDOWS = 16  # compared by default
RIVAL = 0.9  # of the maximum: a second peak as high as this leaves the joint undecided
STEADY = 1.0  # pixels that a joint may move by where the image's change by a level
NOISES = 3  # draws of that
MOST_UNDECIDED = 0.5  # share of the joints that may be left out
RUNS = 3  # of a batch size on a device at least: plain, captured as a CUDA graph, and that graph again
Image = npt.NDArray[np.uint8]
Crop = tuple[Image, FloatArray]  # a frame, and a box (1 x 4) in it
Poses = tuple[FloatArray, FloatArray]  # keypoints and covariance of N windows, both N x K x 3


@dataclass(frozen=True)
class Bounds:
    """The largest figures of a Deviation that are let pass."""

    p50: float
    p99: float
    max: float
    over_pixel: float
    score: float
    covariance: float


# FP16 and INT8: from twice to eight times what was measured (docs/precision.md); one joint of a hundred may lie between
# two cells and choose the other (FP16; MoveNet's centre of the person too), or between two peaks (INT8). FP32: room for
# other kernels and orders of sums.
BOUNDS = {
    "fp32": Bounds(p50=0.01, p99=0.05, max=0.5, over_pixel=0.0, score=0.01, covariance=0.02),
    "fp16": Bounds(p50=0.05, p99=0.8, max=4.0, over_pixel=0.01, score=0.03, covariance=0.2),
    "int8": Bounds(p50=0.2, p99=1.0, max=float("inf"), over_pixel=0.01, score=0.06, covariance=0.3),
}


@dataclass(frozen=True)
class Deviation:
    """How far keypoints moved, in crop pixels; what is no number has moved infinitely far.

    joints: compared; p50, p99, max: of their distances; over_pixel: share of them that moved by more than a pixel;
    score: largest difference of a joint's score; undecided: joints left out; covariance: 99th percentile of its
    largest difference, as a share of xx + yy.
    """

    joints: int
    p50: float
    p99: float
    max: float
    over_pixel: float
    score: float
    undecided: int
    covariance: float = 0.0

    @classmethod
    def none(cls) -> Deviation:
        """Of the reference itself."""
        return cls(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0)

    def refusal(self, precision: str) -> str:
        """Why an engine of this precision must not be used, in part of a sentence; empty where it may."""
        if self == Deviation.none():
            return ""
        if self.undecided > MOST_UNDECIDED * (self.joints + self.undecided):
            return (
                f"FP32 itself is undecided about {self.undecided} of {self.joints + self.undecided} joints, "
                "too many to judge by"
            )
        bounds = asdict(BOUNDS[precision])
        over = [n for n, bound in bounds.items() if not getattr(self, n) <= bound or not np.isfinite(getattr(self, n))]
        exceeded = ", ".join(f"{_WORDS[name].format(getattr(self, name), bounds[name])}" for name in over)
        return f"keypoints deviate from those of FP32 on the CPU: {exceeded}" if over else ""

    def to_json(self, precision: str) -> dict[str, Any]:
        """For model.json, with the bounds; None is a bound that is none."""
        bounds = {name: value if np.isfinite(value) else None for name, value in asdict(BOUNDS[precision]).items()}
        return asdict(self) | {"allowed": bounds}

    def __str__(self) -> str:
        """The figures in one line."""
        return (
            f"p50 {self.p50:.2g}, p99 {self.p99:.2g}, max {self.max:.2g} px over {self.joints} joints, "
            f"{self.over_pixel:.1%} over a pixel, scores within {self.score:.2g}, "
            f"99% of the covariances within {self.covariance:.1%}; {self.undecided} undecided left out"
        )


_WORDS = {
    "p50": "half of them by {:.3g} px or more (allowed {:g})",
    "p99": "the 99th percentile by {:.3g} px (allowed {:g})",
    "max": "one by {:.3g} px (allowed {:g})",
    "over_pixel": "{:.1%} of them by more than a pixel (allowed {:.1%})",
    "score": "a score by {:.3g} (allowed {:g})",
    "covariance": "the 99th percentile of their covariances by {:.1%} (allowed {:.1%})",
}


def measure_deviation(
    engine: Engine, bundle: Bundle, *, precision: str = "fp32", windows: int = WINDOWS, threads: int = 0
) -> Deviation:
    """Run the engine and the reference on synthetic people: of each figure, the worst of all batch sizes.

    precision: where its bounds are exceeded, the reference is asked again with noise, to see which joints it is steady
    about; threads: of the reference, 0 for the runtime's choice.
    """
    from sdtc_ros.engine.ort.host import OnnxEngine

    people, reference = _People(bundle, windows), OnnxEngine(bundle, threads=threads)
    moves = sample_moves(windows, 2 * bundle.delta + 1, bundle.input_size) if bundle.moves else None
    held = people.of(people.encode(reference, _growing(len(people.crops))), range(windows))
    expected = reference.estimate(held, moves)
    clear = decided(reference.heatmaps(held, moves))
    found = []
    for batches, handles in _sizes(engine, people):
        off = np.zeros((windows, 3, clear.shape[1]))  # the worst of what a window was processed
        for batch in batches:
            estimated = engine.estimate(people.of(handles, batch), None if moves is None else moves[batch])
            np.maximum.at(off, batch, _off(estimated, (expected[0][batch], expected[1][batch])))
        found.append(off)
    deviation = _worst(_summary(off, clear) for off in found)
    if not deviation.refusal(precision) or not all(np.isfinite(off).all() for off in found):
        return deviation
    steady = _steady(reference, people, expected, moves)
    return _worst(_summary(off, clear, steady) for off in found)


def _steady(reference: Engine, people: _People, expected: Poses, moves: FloatArray | None) -> npt.NDArray[np.bool_]:
    """N x K: the joints that the reference finds where it did before when the image's pixels change by a level."""
    steady = np.ones(expected[0].shape[:2], bool)
    for noisy in _noisy(people.crops):
        handles = people.encode(reference, _growing(len(people.crops)), noisy)
        seen = reference.estimate(people.of(handles, range(len(people.windows))), moves)
        steady &= _off(seen, expected)[:, 0] <= STEADY
    return steady


def _worst(deviations: Iterable[Deviation]) -> Deviation:
    found = list(deviations)
    return Deviation(**{field.name: max(getattr(one, field.name) for one in found) for field in fields(Deviation)})


def compare(got: Poses, expected: Poses, heatmaps: FloatArray) -> Deviation:
    """Poses of both sides, and the reference's heatmaps (N x K x h x w) -> Deviation."""
    return _summary(_off(got, expected), decided(heatmaps))


def _off(got: Poses, expected: Poses) -> npt.NDArray[np.float64]:
    """N x 3 x K: pixels moved, difference of the scores, and of the covariance as a share of xx + yy."""
    with np.errstate(invalid="ignore"):
        apart = [np.abs(one.astype(np.float64) - other) for one, other in zip(got, expected, strict=True)]
    trace = np.maximum(expected[1][..., 0] + expected[1][..., 2], np.finfo(np.float32).tiny)
    keypoints, covariance = apart
    moved = np.hypot(keypoints[..., 0], keypoints[..., 1])
    off = np.stack([moved, keypoints[..., 2], covariance.max(axis=-1) / trace], axis=1)
    return np.where(np.isfinite(off), off, np.inf)


def _summary(
    off: npt.NDArray[np.float64], clear: npt.NDArray[np.bool_], steady: npt.NDArray[np.bool_] | None = None
) -> Deviation:
    """The figures of all joints that are clear and steady, the scores of all that are steady, and what is no number."""
    steady = np.ones_like(clear) if steady is None else steady
    lost = np.isinf(off).any(axis=1)
    counted = (clear & steady) | lost
    moved, covariance = off[:, 0][counted], off[:, 2][counted]
    score = float(off[:, 1][steady | lost].max(initial=0.0))
    if not len(moved):
        return Deviation(0, 0.0, 0.0, 0.0, 0.0, score, int(clear.size))
    p50, p99 = (float(np.quantile(moved, share, method="higher")) for share in (0.5, 0.99))
    wide = np.inf if np.isinf(covariance).any() else float(np.quantile(covariance, 0.99, method="higher"))
    over = float(np.mean(moved > 1.0))
    return Deviation(len(moved), p50, p99, float(moved.max()), over, score, int((~counted).sum()), wide)


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
    """Windows of the clip that ships: 2 * delta + 1 frames and N crop boxes (xywh) each, `count` windows in all.

    Keyframes lie as far apart as the clip lets them; where it has too few people, it is gone through again.
    """
    from sdtc_ros.demo import demo_clip

    clip, length = demo_clip(), 2 * delta + 1
    starts = [start for first in range(length) for start in range(first, len(clip.frames) - length + 1, length)]
    for start in cycle(starts):
        if count <= 0:
            return
        people = np.flatnonzero(clip.visible[start + delta].sum(axis=1) >= 3)[:count]  # enough to have been detected
        if len(people):
            boxes = clip.boxes[start + delta, people]
            yield clip.frames[start : start + length], crop_boxes(boxes, size[0] / size[1])
        count -= len(people)


def sample_moves(count: int, frames: int, size: tuple[int, int]) -> FloatArray:
    """Moves of windows, count x frames x 4: none in even ones, up to a tenth of size (width, height) in odd ones."""
    random = np.random.default_rng(0)
    moves = no_moves(count, frames)
    near = random.uniform(-0.1, 0.1, (len(moves[1::2]), frames, 3))
    moves[1::2, :, :2] += near[..., :1]
    moves[1::2, :, 2:] += near[..., 1:] * size
    moves[:, frames // 2] = no_moves(1, 1)
    return moves


class _People:
    """Windows of synthetic people: `crops` are an image and one box (1 x 4) each, `windows` numbers of crops."""

    def __init__(self, bundle: Bundle, count: int) -> None:
        self.size = bundle.input_size
        self.crops: list[Crop] = []
        self.windows: list[list[int]] = []
        for frames, boxes in clips(bundle.input_size, bundle.delta, count):
            first, people = len(self.crops), len(boxes)
            self.crops += [(frame, boxes[i : i + 1]) for frame in frames for i in range(people)]
            self.windows += [list(range(first + i, len(self.crops), people)) for i in range(people)]

    def encode(self, engine: Engine, batches: list[list[int]], crops: list[Crop] | None = None) -> list[Handle]:
        """A handle for each crop, encoded in these batches (numbers of crops; one that comes again is made again).

        crops: others in their place.
        """
        crops = crops or self.crops
        handles: dict[int, Handle] = {}
        for batch in batches:
            groups = [list(group) for _, group in groupby((crops[i] for i in batch), key=lambda crop: id(crop[0]))]
            cuts = [(group[0][0], np.concatenate([box for _, box in group])) for group in groups]
            if isinstance(engine, CuttingEngine):
                made = engine.encode_from(cuts)
            else:
                made = engine.encode(np.concatenate([crop_images(image, boxes, self.size) for image, boxes in cuts]))
            handles.update(zip(batch, made, strict=True))
        return [handles[number] for number in range(len(self.crops))]

    def of(self, handles: list[Handle], numbers: Iterable[int]) -> list[list[Handle]]:
        """The windows of these numbers."""
        return [[handles[crop] for crop in self.windows[number]] for number in numbers]


def _noisy(crops: list[Crop]) -> Iterator[list[Crop]]:
    """NOISES times the same boxes in frames whose values are one level up, one down, or as they were."""
    frames = {id(frame): frame for frame, _ in crops}
    for seed in range(NOISES):
        random = np.random.default_rng(seed)
        noisy = {
            key: np.clip(frame + random.integers(-1, 2, frame.shape), 0, 255).astype(np.uint8)
            for key, frame in frames.items()
        }
        yield [(noisy[id(frame)], box) for frame, box in crops]


def _sizes(engine: Engine, people: _People) -> Iterator[tuple[list[list[int]], list[Handle]]]:
    """For each batch size to be judged: batches of window numbers, and handles made for them.

    On a device that is every size with kernels of its own, in both graphs, and 3, which TensorRT pads. A host's kernels
    differ little: there all crops are encoded once, in batches of 1, 2, 4 ..., and only windows come in every size.
    """
    crops, windows = len(people.crops), len(people.windows)
    if isinstance(engine, CuttingEngine):
        for size in sorted({*batches_up_to(engine.max_batch), min(3, engine.max_batch)}):
            yield _filled(windows, size, RUNS), people.encode(engine, _filled(crops, size, RUNS))
        return
    handles = people.encode(engine, _growing(crops))
    for size in batches_up_to(windows):
        yield _filled(windows, size, 1), handles


def _filled(count: int, size: int, runs: int) -> list[list[int]]:
    """Numbers below `count`, over and over, in batches of exactly `size`: each comes, and there are `runs` or more."""
    batches = max(-(-count // size), runs)
    return [[(start + i) % count for i in range(size)] for start in range(0, batches * size, size)]


def _growing(count: int) -> list[list[int]]:
    """Numbers below `count`, each once, in batches of 1, 2, 4 ... and what is left."""
    starts = [(1 << i) - 1 for i in range(count.bit_length())]
    return [list(range(start, min(2 * start + 1, count))) for start in starts if start < count]
