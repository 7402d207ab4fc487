# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a step of the pipeline costs: a frame of every camera, all their people in one batch; the engine apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import first_full
from benchmarks.models import network_config, random_bundle
from benchmarks.scaling.host import SIZE, without_ids
from benchmarks.scenes import walking_people
from sdtc_ros.engine.base import Engine, FloatArray, Handle
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.pipeline.inference import CropBuffer
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig, process_together

ENCODE, ESTIMATE = "encode", "estimate"


@dataclass(frozen=True)
class Load:
    """What is asked for: people before each camera."""

    network: str
    delta: int
    cameras: int
    people: int


@dataclass(frozen=True)
class Sample:
    """A load's means a step: crops encoded, and processor time.

    seconds: of the engine's parts (ENCODE, ESTIMATE); whole: of all, the host with it;
    macs: multiply-adds of one crop's encoding and of one window's estimate; crop_pixels: of one crop.
    """

    load: Load
    encodes: float
    seconds: dict[str, float]
    whole: float
    macs: dict[str, int]
    crop_pixels: int

    @property
    def windows(self) -> int:
        """Windows estimated a step: one a person."""
        return self.load.cameras * self.load.people


class Timed:
    """An engine that adds up the processor time of its calls and the crops that it encoded."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.encoded, self.seconds = 0, {ENCODE: 0.0, ESTIMATE: 0.0}

    def encode(self, crops: npt.NDArray[np.uint8]) -> list[Handle]:
        """See Engine.encode."""
        start = process_time()
        found = self._engine.encode(crops)
        self.seconds[ENCODE] += process_time() - start
        self.encoded += len(crops)
        return found

    def estimate(self, windows: Sequence[Sequence[Any]]) -> tuple[FloatArray, FloatArray]:
        """See Engine.estimate."""
        start = process_time()
        found = self._engine.estimate(windows)
        self.seconds[ESTIMATE] += process_time() - start
        return found


def network_macs(network: str, delta: int) -> dict[str, int]:
    """Multiply-adds of the two graphs: of a crop's encoding and a window's estimate."""
    from dataclasses import replace

    from training.cost import sdtc_costs

    parts = {c.part: c.streaming_macs for c in sdtc_costs(replace(network_config(network), delta=delta))}
    encode = parts["backbone"] + parts["projection"]
    return {ENCODE: encode, ESTIMATE: sum(parts.values()) - encode}


def measure_loads(network: str, delta: int, loads: Sequence[Load], frames: int, threads: int = 1) -> list[Sample]:
    """Every load of one network and span, on one engine."""
    bundle = random_bundle(network, delta)
    engine, macs = Timed(OnnxEngine(bundle, threads=threads)), network_macs(network, delta)
    pixels = bundle.input_size[0] * bundle.input_size[1]
    found = []
    for load in loads:
        pipelines = [Pipeline(bundle, engine, PipelineConfig()) for _ in range(load.cameras)]
        encodes, seconds, whole = _measure(engine, pipelines, load, frames)
        found.append(Sample(load, encodes, seconds, whole, macs, pixels))
    return found


def _measure(
    engine: Timed, pipelines: list[Pipeline], load: Load, frames: int
) -> tuple[float, dict[str, float], float]:
    """Mean crops encoded a step, mean seconds of the engine's parts and of the whole step."""
    skipped, buffer, whole = first_full(pipelines[0]), CropBuffer(), 0.0
    clips = [without_ids(walking_people(load.people, SIZE, skipped + frames, seed)) for seed in range(load.cameras)]
    for number, inputs in enumerate(zip(*clips, strict=True)):
        if number == skipped:
            engine.clear()
        start = process_time()
        process_together([(p, *given) for p, given in zip(pipelines, inputs, strict=True)], buffer)
        whole += process_time() - start if number >= skipped else 0.0
    return engine.encoded / frames, {part: spent / frames for part, spent in engine.seconds.items()}, whole / frames


def grid(quick: bool) -> dict[tuple[str, int], list[Load]]:
    """What is measured, by network and span: the small network in full, the large ones where they are affordable."""
    if quick:
        wanted = [("sdtc-tiny", d, c, p) for d, c, p in ((2, 1, 1), (2, 1, 4), (2, 2, 2), (1, 1, 2), (1, 2, 1))]
    else:
        wanted = [("sdtc-tiny", 2, 1, p) for p in (1, 2, 4, 8, 16, 32)]
        wanted += [("sdtc-tiny", 2, c, p) for c in (2, 4) for p in (1, 4, 8)]
        wanted += [("sdtc-tiny", d, c, p) for d in (0, 1, 3) for c, p in ((1, 1), (1, 4), (1, 16), (4, 4))]
        wanted += [("sdtc-s", 2, c, p) for c, p in ((1, 1), (1, 2), (1, 4), (1, 8), (2, 4))]
        wanted += [("sdtc-s", d, 1, p) for d in (0, 1, 3) for p in (1, 4)]
        wanted += [("sdtc-b", 2, c, p) for c, p in ((1, 1), (1, 2), (1, 4), (2, 1))]
    loads: dict[tuple[str, int], list[Load]] = {}
    for network, delta, cameras, people in wanted:
        loads.setdefault((network, delta), []).append(Load(network, delta, cameras, people))
    return loads
