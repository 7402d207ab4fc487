# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Clips of noise with people that wander, and an engine that counts its batches, for tests of pipelines and engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.models.bundle import Bundle
from sdtc_ros.pipeline.pipeline import Pipeline
from sdtc_ros.types import Boxes, Frame, FramePoses

STEP = 40_000_000  # 25 frames a second


class CountingEngine(OnnxEngine):
    """An engine that notes the size of every batch."""

    def __init__(self, bundle: Bundle) -> None:
        self.encoded: list[int] = []
        self.estimated: list[int] = []
        super().__init__(bundle, threads=1)
        self.encoded.clear()
        self.estimated.clear()

    def encode(self, crops: np.ndarray) -> list[Any]:
        self.encoded.append(len(crops))
        return super().encode(crops)

    def estimate(self, windows: Sequence[Sequence[Any]], moves: Any = None) -> tuple[np.ndarray, np.ndarray]:
        self.estimated.append(len(windows))
        return super().estimate(windows, moves)


def scene(frames: int, people: int, lost: float = 0.0, seed: int = 0) -> list[tuple[Frame, Boxes]]:
    """Frames of noise and boxes with ids that wander, grow and are lost at random."""
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.uniform(0, 150, (people, 2)), rng.uniform(20, 60, (people, 2))], axis=1)
    out = []
    for number in range(frames):
        image = rng.integers(0, 256, (180, 240, 3), dtype=np.uint8)
        boxes[:, :2] += rng.normal(0, 3, (people, 2))
        boxes[:, 2:] *= rng.uniform(0.97, 1.03, (people, 2))
        there = np.flatnonzero(rng.uniform(size=people) >= lost)
        rng.shuffle(there)
        given = Boxes(boxes[there].astype(np.float32), rng.uniform(0.3, 1, len(there)).astype(np.float32), there + 10)
        out.append((Frame(image, 1_000 + number * STEP, name=str(number)), given))
    return out


def run(pipeline: Pipeline, clip: list[tuple[Frame, Boxes]]) -> list[FramePoses]:
    """All answers, flushed ones included."""
    answers = [pipeline.process(frame, boxes) for frame, boxes in clip]
    return [answer for answer in answers if answer is not None] + pipeline.flush()
