# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the pipeline itself costs: steps through an engine that does nothing, boxes without ids, so tracking included.

A difference of two timings of a network, hundreds of milliseconds each, cannot tell a host's one; this can. On CPUs the
crops are cut by the host; on a device by the engine, which is measured with one that takes frames and boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import Clip, Recorder, clip_seconds, first_full
from benchmarks.scenes import walking_people
from sdtc_ros.engine.base import Engine
from sdtc_ros.models.bundle import Bundle
from sdtc_ros.pipeline.inference import CropBuffer
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig, process_together
from sdtc_ros.types import Boxes

SIZE = (640, 480)


@dataclass(frozen=True)
class HostSample:
    """Means of a step: cameras, people of all of them, pixels of the crops that the host cut, seconds of the host."""

    cameras: int
    people: int
    pixels: float
    seconds: float


class Nothing:
    """An engine that finds everybody at the crop's corner."""

    def __init__(self, joints: int) -> None:
        self._joints = joints

    def encode(self, crops: npt.NDArray[np.uint8]) -> list[Any]:
        """Something a crop."""
        return [None] * len(crops)

    def estimate(self, windows: Sequence[Sequence[Any]]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Zeros."""
        zeros = np.zeros((len(windows), self._joints, 3), np.float32)
        return zeros, zeros


class CutsNothing(Nothing):
    """One that would cut the crops itself, as those on a device do (a CuttingEngine)."""

    max_batch = 1 << 30

    def encode_from(self, cuts: Sequence[tuple[Any, npt.NDArray[np.float32]]]) -> list[Any]:
        """Something a crop."""
        return [None] * sum(len(boxes) for _, boxes in cuts)


def without_ids(clip: Clip) -> Clip:
    """The clip as a detector gives it: who is who is left to the tracker."""
    return [(frame, Boxes(boxes.xywh, boxes.scores)) for frame, boxes in clip]


def host_loads(quick: bool) -> list[tuple[int, int]]:
    """Cameras, and people before each, up to as many as a pipeline takes."""
    if quick:
        return [(1, 1), (1, 8), (2, 4), (4, 2)]
    return [(1, 1), (1, 2), (1, 4), (1, 8), (1, 16), (1, 32), (1, 64), (2, 1), (2, 8), (2, 32), (4, 1), (4, 8), (4, 32)]


def measure_host(bundle: Bundle, loads: Sequence[tuple[int, int]], frames: int, rounds: int = 5) -> list[HostSample]:
    """Every load, crops cut by the host and by the engine, step by step in turn.

    Of the bundle only its crop's size, its span and its joints matter.
    """
    pixels = bundle.input_size[0] * bundle.input_size[1]
    found = []
    for cameras, people in loads:
        cut, seconds = _measure(bundle, cameras, people, frames, rounds)
        found.append(HostSample(cameras, cameras * people, cut * pixels, seconds[0]))
        found.append(HostSample(cameras, cameras * people, 0.0, seconds[1]))
    return found


def _measure(bundle: Bundle, cameras: int, people: int, frames: int, rounds: int) -> tuple[float, list[float]]:
    """Crops that the host cut, and seconds of the host with and without cutting them; means of a step.

    Each frame counts with its median over the rounds.
    """
    cutting = Recorder(Nothing(len(bundle.skeleton)))
    engines: tuple[Engine, ...] = (cutting, CutsNothing(len(bundle.skeleton)))
    ways = [[Pipeline(bundle, engine, PipelineConfig()) for _ in range(cameras)] for engine in engines]
    skipped, buffer, cut = first_full(ways[0][0]), CropBuffer(), 0
    clips = [without_ids(walking_people(people, SIZE, skipped + frames, seed)) for seed in range(cameras)]
    seconds = np.zeros((len(ways), rounds, skipped + frames))
    for turn in range(rounds):
        for pipeline in (*ways[0], *ways[1]):
            pipeline.reset()
        for number, inputs in enumerate(zip(*clips, strict=True)):
            cutting.calls.clear()
            for which in np.roll(np.arange(len(ways)), turn + number).tolist():
                given = [(pipeline, *one) for pipeline, one in zip(ways[which], inputs, strict=True)]
                start = process_time()
                process_together(given, buffer)
                seconds[which, turn, number] = process_time() - start
            cut += cutting.encoded if number >= skipped else 0
    return cut / (rounds * frames), [clip_seconds(one[:, skipped:]) / frames for one in seconds]
