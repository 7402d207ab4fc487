# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a step of the pipeline costs: a frame of every camera, all their people in one batch; host and engine apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import process_time

import numpy as np

from benchmarks.measure import Recorder, first_full
from benchmarks.models import network_config, random_bundle
from benchmarks.scenes import walking_people
from sdtc_ros.batch import CropBuffer
from sdtc_ros.engine import Engine
from sdtc_ros.engine.onnx import OnnxEngine
from sdtc_ros.pipeline import Pipeline, PipelineConfig, process_together

SIZE = (640, 480)
ENCODE, ESTIMATE, HOST = "encode", "estimate", "host"


@dataclass(frozen=True)
class Load:
    """What is asked for: people before each camera."""

    network: str
    delta: int
    cameras: int
    people: int


@dataclass(frozen=True)
class Sample:
    """A load's means a step: crops encoded, and seconds of processor time by part (ENCODE, ESTIMATE, HOST).

    macs: multiply-adds of one crop's encoding and of one window's estimate; crop_pixels: of one crop.
    """

    load: Load
    encodes: float
    seconds: dict[str, float]
    macs: dict[str, int]
    crop_pixels: int

    @property
    def windows(self) -> int:
        """Windows estimated a step: one a person."""
        return self.load.cameras * self.load.people

    @property
    def whole(self) -> float:
        """Seconds of a step."""
        return sum(self.seconds.values())


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
    engine, macs = OnnxEngine(bundle, threads=threads), network_macs(network, delta)
    pixels = bundle.input_size[0] * bundle.input_size[1]
    found = []
    for load in loads:
        recorder = Recorder(engine)
        pipelines = [Pipeline(bundle, recorder, PipelineConfig()) for _ in range(load.cameras)]
        encodes, seconds = _measure(recorder, pipelines, load, frames)
        found.append(Sample(load, encodes, seconds, macs, pixels))
    return found


def _measure(recorder: Recorder, pipelines: list[Pipeline], load: Load, frames: int) -> tuple[float, dict[str, float]]:
    """Mean crops encoded a step, and mean seconds of its parts: each call made again, the rest is the host's."""
    skipped = first_full(pipelines[0])
    clips = [walking_people(load.people, SIZE, skipped + frames, seed) for seed in range(load.cameras)]
    buffer, encoded = CropBuffer(), 0
    seconds = dict.fromkeys((ENCODE, ESTIMATE, HOST), 0.0)
    for number, inputs in enumerate(zip(*clips, strict=True)):
        recorder.calls.clear()
        start = process_time()
        process_together([(p, *given) for p, given in zip(pipelines, inputs, strict=True)], buffer)
        whole = process_time() - start
        if number < skipped:
            continue
        encoded += recorder.encoded
        again = _again(recorder.engine, recorder.calls)
        for part, spent in again.items():
            seconds[part] += spent / frames
        seconds[HOST] += max(0.0, whole - sum(again.values())) / frames
    return encoded / frames, seconds


def _again(engine: Engine, calls: Sequence[tuple[str, object]]) -> dict[str, float]:
    spent = {ENCODE: 0.0, ESTIMATE: 0.0}
    for call, batch in calls:
        start = process_time()
        getattr(engine, call)(batch)
        spent[call] += process_time() - start
    return spent


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


def encodes_a_person(samples: Sequence[Sample]) -> float:
    """Crops encoded a person and frame, over all samples of the default span."""
    own = [sample for sample in samples if sample.load.delta == 2]
    return float(np.mean([sample.encodes / sample.windows for sample in own]))
