# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Detector in every k-th frame: between, a person's box goes where the poses say that he goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fake_bundle import make_bundle

from sdtc_ros.models.bundle import Bundle
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.types import Boxes, Frame

STEP = 40_000_000  # nanoseconds: 25 frames a second


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


class SeeingEngine:
    """Finds a person who is never where a straight line says: images bear their coordinates and their number."""

    @staticmethod
    def place(number: int) -> np.ndarray:
        return np.array([110 + 60 * np.sin(number / 8), 90.0])

    def encode(self, crops: np.ndarray) -> list[Any]:
        return [crop.astype(np.float64) for crop in crops]

    def estimate(self, windows: Sequence[Sequence[Any]], moves: Any = None) -> tuple[np.ndarray, np.ndarray]:
        keypoints = np.ones((len(windows), 15, 3), np.float32)
        for row, window in zip(keypoints, windows, strict=True):
            crop = window[2]
            height, width = crop.shape[:2]
            for axis, (low, high), last in (
                (0, crop[height // 2, [8, 16], 0], width),
                (1, crop[[8, 16], width // 2, 1], height),
            ):
                place = self.place(round(crop[height // 2, width // 2, 2]))[axis]
                assert last > 16
                row[:, axis] = 8 + 8 * (place - low) / (high - low) + np.linspace(-1, 1, 15)
        return keypoints, np.zeros_like(keypoints)


@pytest.mark.parametrize("lookahead", [0, 2])
def test_boxes_are_propagated_by_the_poses_between_detections(bundle: Bundle, lookahead: int) -> None:
    """Who swings to and fro is not lost between detections; at constant speed he would be."""
    engine, calls = SeeingEngine(), []
    y, x = np.mgrid[:180, :240]

    def detector(image: np.ndarray) -> Boxes:
        calls.append(int(image[0, 0, 2]))
        return Boxes(np.array([[*engine.place(calls[-1]) - (20, 30), 40, 60]], np.float32), np.ones(1, np.float32))

    config = PipelineConfig(lookahead=lookahead, detect_every=12, crop_drift_threshold=0.0)
    pipeline = Pipeline(bundle, engine, config, detector)
    images = [np.stack([x, y, np.full_like(x, number)], axis=2).astype(np.uint8) for number in range(50)]
    answers = [pipeline.process(Frame(image, number * STEP)) for number, image in enumerate(images)]
    answers = [answer for answer in answers if answer is not None] + pipeline.flush()
    centres = np.array([answer.poses[0].box[:2] + answer.poses[0].box[2:] / 2 for answer in answers])
    off = np.abs(centres[:, 0] - [engine.place(number)[0] for number in range(50)])
    assert calls == [0, 12, 24, 36, 48]
    # detected anew in 12, 24, 36: what constant speed makes of the last two detections, in the frames between
    speeds = {d: (engine.place(d) - engine.place(d - 12))[0] / 12 for d in (12, 24, 36)}
    straight = [abs(engine.place(d)[0] + n * v - engine.place(d + n)[0]) for d, v in speeds.items() for n in range(12)]
    assert np.mean(straight) > 20
    assert off[12:48].mean() < (5 if lookahead == 0 else 9)
