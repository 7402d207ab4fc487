# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The gate: what it measures, what it lets pass, that it asks an engine as the pipeline does."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_bundle import TINY_BUNDLE, make_bundle

from sdtc_ros.crops import crop_images
from sdtc_ros.engine import accuracy_check as module
from sdtc_ros.engine.accuracy_check import BOUNDS, Deviation, clips, compare, decided, measure_deviation
from sdtc_ros.engine.base import Cut, batches_up_to
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.models.bundle import Bundle, load_bundle

GOOD = Deviation(200, 0.001, 0.01, 0.02, 0.0, 0.001, 10, 0.002)
Change = Callable[[np.ndarray, np.ndarray], None]


def as_it_is(keypoints: np.ndarray, covariance: np.ndarray) -> None:
    """Nothing is done to them."""


class Moved:
    """The reference with something done to its poses, in place; remembers the batches it was asked for."""

    def __init__(self, bundle: Bundle, change: Change = as_it_is) -> None:
        self.engine, self.change = OnnxEngine(bundle, threads=1), change
        self.encoded: list[int] = []
        self.estimated: list[int] = []
        self.providers, self.precision, self.identity = self.engine.providers, "fp32", ""

    def encode(self, crops: Any) -> list[Any]:
        self.encoded.append(len(crops))
        return self.engine.encode(crops)

    def estimate(self, windows: Sequence[Sequence[Any]], moves: Any = None) -> tuple[Any, Any]:
        self.estimated.append(len(windows))
        keypoints, covariance = (array.copy() for array in self.engine.estimate(windows))
        self.change(keypoints, covariance)
        return keypoints, covariance


class Cutting(Moved):
    """Cuts its crops itself, off by a few pixels if told so; as a device does, it has batches of its own."""

    max_batch = 8

    def __init__(self, bundle: Bundle, shift: float = 0.0, change: Change = as_it_is) -> None:
        super().__init__(bundle, change)
        self.size, self.shift = bundle.input_size, shift

    def encode_from(self, cuts: Sequence[Cut]) -> list[Any]:
        offset = np.float32([self.shift, 0, 0, 0])
        return self.encode(np.concatenate([crop_images(image, boxes + offset, self.size) for image, boxes in cuts]))


@pytest.fixture(autouse=True)
def drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same people for all tests: drawing them takes longer than all else."""
    monkeypatch.setattr(module, "clips", drawn)


@cache
def drawn(size: tuple[int, int], delta: int, count: int) -> list[tuple[list[np.ndarray], np.ndarray]]:
    return list(clips(size, delta, count))


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle(TINY_BUNDLE)


def peaks(*heights: float, apart: int = 5) -> np.ndarray:
    """A 1 x 1 x 16 x 16 heatmap with peaks of these heights."""
    heatmap = np.zeros((1, 1, 16, 16), np.float32)
    for number, height in enumerate(heights):
        heatmap[0, 0, 3, 2 + number * apart] = height
    return heatmap


@pytest.mark.slow
def test_what_a_level_of_the_pixels_moves_is_undecided(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine may answer otherwise where the reference itself does so in the same image with a little noise."""
    engine, crops = OnnxEngine(bundle, threads=1), module._People(bundle, 6).crops
    for (frame, box), (noisy, same) in zip(crops, next(module._noisy(crops)), strict=True):
        assert np.unique(noisy.astype(int) - frame).tolist() == [-1, 0, 1] and box is same
    sure = measure_deviation(engine, bundle, windows=6, threads=1)
    assert sure.refusal("fp32") == "" and sure.undecided < 0.2 * sure.joints  # nothing to excuse, so no noise
    wrong = Moved(bundle, lambda keypoints, covariance: keypoints.__iadd__(5))
    usual = measure_deviation(wrong, bundle, windows=6, threads=1)
    monkeypatch.setattr(module, "_noisy", lambda crops: [[(frame, box + 20) for frame, box in crops]])
    elsewhere = measure_deviation(wrong, bundle, windows=6, threads=1)
    assert usual.refusal("fp32") and usual.joints > 0.8 * sure.joints
    assert elsewhere.joints < 0.3 * elsewhere.undecided


@pytest.mark.slow
def test_the_reference_does_not_deviate_from_itself(bundle: Bundle) -> None:
    engine = Moved(bundle)
    deviation = measure_deviation(engine, bundle, windows=6, threads=1)
    assert (deviation.p50, deviation.over_pixel, deviation.score) == pytest.approx((0, 0, 0), abs=1e-5)
    assert (deviation.max, deviation.covariance) == pytest.approx((0, 0), abs=1e-4)
    assert deviation.joints + deviation.undecided == 6 * 15
    assert deviation.joints > 80
    assert deviation.refusal("fp32") == ""
    assert engine.encoded == [1, 2, 4, 8, 15]  # a host's: every crop once
    assert engine.estimated == [1] * 6 + [2] * 3 + [4] * 2 + [6]


def test_every_batch_of_a_device_is_judged(tmp_path: Path) -> None:
    """Each size that has kernels of its own, and one that is padded, as often as it takes to capture and launch it."""
    bundle = make_bundle(tmp_path / "fake")
    engine = Cutting(bundle)
    deviation = measure_deviation(engine, bundle, windows=3, threads=1)
    assert (deviation.joints, deviation.max, deviation.refusal("fp32")) == (45, 0, "")
    for asked, count in ((engine.encoded, 15), (engine.estimated, 3)):
        for size in (1, 2, 3, 4, 8):
            assert asked.count(size) >= max(3, count / size)
        assert set(asked) == {1, 2, 3, 4, 8}
    assert batches_up_to(64) == [1, 2, 4, 8, 16, 32, 64]
    assert (batches_up_to(1), batches_up_to(2), batches_up_to(6)) == ([1], [1, 2], [1, 2, 4, 6])


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("run", [0, 1, 2])
def test_one_wrong_batch_is_enough(tmp_path: Path, size: int, run: int) -> None:
    """Kernels that are wrong for one size, or only at first, while they are captured, or from then on."""
    bundle = make_bundle(tmp_path / "fake")
    asked: list[int] = []

    def wrong(keypoints: np.ndarray, covariance: np.ndarray) -> None:
        asked.append(len(keypoints))
        if len(keypoints) == size and asked.count(size) == run + 1:
            keypoints += 50

    deviation = measure_deviation(Cutting(bundle, change=wrong), bundle, windows=3, threads=1)
    for precision in BOUNDS:
        assert "of them by more than a pixel" in deviation.refusal(precision)


@pytest.mark.slow
def test_a_host_is_judged_in_large_batches_too(bundle: Bundle) -> None:
    def wrong(keypoints: np.ndarray, covariance: np.ndarray) -> None:
        if len(keypoints) > 4:
            keypoints += 50

    assert "half of them" in measure_deviation(Moved(bundle, wrong), bundle, windows=6, threads=1).refusal("int8")


@pytest.mark.slow
def test_an_engine_that_is_off_is_measured_and_refused(bundle: Bundle) -> None:
    def moved(keypoints: np.ndarray, covariance: np.ndarray) -> None:
        keypoints[:, 3, 0] += 3
        keypoints[:, 3, 1] -= 4
        keypoints[:, :, 2] += 0.25
        covariance[:, :, 1] += 0.4 * (covariance[:, :, 0] + covariance[:, :, 2])

    deviation = measure_deviation(Moved(bundle, moved), bundle, windows=6, threads=1)
    assert (deviation.max, deviation.p99) == pytest.approx((5, 5), abs=1e-4)
    assert deviation.p50 == pytest.approx(0, abs=1e-4)
    assert deviation.covariance == pytest.approx(0.4, abs=1e-4)
    assert 0.05 < deviation.over_pixel < 0.08
    assert deviation.score == pytest.approx(0.25, abs=1e-5)
    for precision in BOUNDS:
        refusal = deviation.refusal(precision)
        assert "the 99th percentile by 5 px" in refusal and "a score by 0.25 (allowed 0.0" in refusal
        assert "the 99th percentile of their covariances by 40.0% (allowed " in refusal


@pytest.mark.parametrize("shift", [0.0, 3.0])
@pytest.mark.slow
def test_an_engine_that_cuts_is_judged_by_its_own_cuts(bundle: Bundle, shift: float) -> None:
    deviation = measure_deviation(Cutting(bundle, shift), bundle, windows=3, threads=1)
    assert bool(deviation.refusal("fp32")) == bool(shift)
    assert bool(deviation.refusal("int8")) == bool(shift)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("what", "column", "said"),
    [(0, 0, "one by inf px"), (0, 1, "one by inf px"), (0, 2, "a score by inf"), (1, 1, "their covariances by inf%")],
)
def test_one_value_that_is_no_number_is_too_much(value: float, what: int, column: int, said: str) -> None:
    """In whatever a pose is made of, and of a joint that is left out otherwise."""
    keypoints, covariance = np.zeros((20, 15, 3), np.float32), np.ones((20, 15, 3), np.float32)
    maps = np.concatenate([np.concatenate([peaks(1.0, 0.95), *[peaks(1.0)] * 14], axis=1)] * 20)
    got = keypoints.copy(), covariance.copy()
    got[what][7, 0, column] = value  # the first joint is undecided
    deviation = compare(got, (keypoints, covariance), maps)
    assert (deviation.joints, deviation.undecided) == (20 * 14 + 1, 19)
    for precision in BOUNDS:
        assert said in deviation.refusal(precision)
    assert compare((keypoints, covariance), (keypoints, covariance), maps).refusal("fp32") == ""


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_bounds(precision: str) -> None:
    bounds = BOUNDS[precision]
    just = dataclasses.replace(
        GOOD, p50=bounds.p50, p99=bounds.p99, max=min(bounds.max, 99), over_pixel=bounds.over_pixel,
        score=bounds.score, covariance=bounds.covariance,
    )  # fmt: skip
    assert just.refusal(precision) == ""
    for name in dataclasses.asdict(bounds):
        beyond = getattr(bounds, name) * 1.01 + 1e-4
        refusal = dataclasses.replace(just, **{name: beyond}).refusal(precision)
        assert refusal.startswith("keypoints deviate from those of FP32 on the CPU: ") and "\n" not in refusal
    allowed = GOOD.to_json(precision)["allowed"]
    assert allowed["p99"] == bounds.p99
    assert allowed["max"] == (None if precision == "int8" else bounds.max)


def test_too_little_to_judge_by() -> None:
    assert dataclasses.replace(GOOD, joints=100, undecided=100).refusal("fp16") == ""
    few = dataclasses.replace(GOOD, joints=99, undecided=101)
    assert few.refusal("fp16") == "FP32 itself is undecided about 101 of 200 joints, too many to judge by"
    zeros = np.zeros((1, 1, 3), np.float32)
    nothing = compare((zeros, zeros), (zeros, zeros), np.zeros((1, 1, 8, 8), np.float32))
    assert nothing.undecided == 1
    assert "1 of 1 joints" in nothing.refusal("int8")
    assert Deviation.none().refusal("fp32") == ""


@pytest.mark.parametrize(
    ("heatmap", "clear"),
    [
        (peaks(1.0), True), (peaks(1.0, 0.89), True), (peaks(1.0, 0.91), False), (peaks(0.5, 0.5), False),
        (peaks(1.0, 0.95, apart=1), True), (peaks(1.0, 0.95, apart=2), False), (peaks(0.0), False),
        (-peaks(1.0) - 1, False), (peaks(0.01, 0.001), True),
    ],
)  # fmt: skip
def test_what_is_decided(heatmap: np.ndarray, clear: bool) -> None:
    assert decided(heatmap).tolist() == [[clear]]


def test_undecided_joints_are_left_out() -> None:
    expected = np.zeros((1, 2, 3), np.float32), np.ones((1, 2, 3), np.float32)
    got = expected[0].copy(), expected[1]
    got[0][0, 1, :2] = 30
    maps = np.concatenate([peaks(1.0), peaks(1.0, 0.95)], axis=1)
    deviation = compare(got, expected, maps)
    assert (deviation.joints, deviation.undecided, deviation.max) == (1, 1, 0)
    assert compare(got, expected, maps[:, ::-1]).max == pytest.approx(30 * math.sqrt(2))


@pytest.mark.parametrize(("delta", "count"), [(0, 5), (2, 1), (1, 4)])
def test_clips(delta: int, count: int) -> None:
    """As many windows as asked for, the same every time, of people who are in the picture."""
    found = list(clips((96, 128), delta, count))
    assert sum(len(boxes) for _, boxes in found) == count
    for (frames, boxes), (again, same) in zip(found, clips((96, 128), delta, count), strict=True):
        assert len(frames) == 2 * delta + 1
        np.testing.assert_array_equal(boxes, same)
        np.testing.assert_array_equal(frames[0], again[0])
        np.testing.assert_allclose(boxes[:, 2] / boxes[:, 3], 0.75, rtol=1e-5)


def test_a_network_of_another_shape(tmp_path: Any) -> None:
    bundle = make_bundle(tmp_path / "fake", delta=1)
    deviation = measure_deviation(OnnxEngine(bundle, threads=1), bundle, windows=3)
    assert (deviation.joints, deviation.max) == (45, 0)


def test_the_figures_in_one_line() -> None:
    assert str(GOOD) == (
        "p50 0.001, p99 0.01, max 0.02 px over 200 joints, 0.0% over a pixel, scores within 0.001, "
        "99% of the covariances within 0.2%; 10 undecided left out"
    )
