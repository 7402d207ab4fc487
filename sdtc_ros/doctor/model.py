# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The model and the engines that can run it: opened, compared with the reference, tried on drawn people, timed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from sdtc_ros.doctor.finding import BROKEN, MISSING, OK, Finding, checked
from sdtc_ros.errors import UsageError

if TYPE_CHECKING:
    from sdtc_ros.engine.base import Engine
    from sdtc_ros.engine.select import EngineConfig
    from sdtc_ros.models.bundle import Bundle

PART = "Model and engines"
DEFAULT = "cpu fp32"  # what runs where nobody asks for anything else
PEOPLE, CALLS = 8, 5


def findings(folder: Path | None) -> list[Finding]:
    """All of this part; the line of the default path is the one whose `what` is DEFAULT."""
    return checked(PART, "bundle", partial(_findings, folder))


def _findings(folder: Path | None) -> list[Finding]:
    from sdtc_ros.models.bundle import default_bundle, load_bundle

    bundle = load_bundle(folder or default_bundle())
    found = [Finding(PART, OK, "bundle", f"{bundle.name}, hashes agree, {bundle.bundle_hash[:16]} ({bundle.folder})")]
    for config in _wanted(bundle):
        what = f"{config.provider} {config.precision}"
        found += checked(PART, what, partial(_engine, bundle, config, what))
    return found


def works(found: list[Finding]) -> bool:
    """Whether the default path does."""
    return any(one.part == PART and one.what == DEFAULT and one.state == OK for one in found)


def _wanted(bundle: Bundle) -> list[EngineConfig]:
    """Every provider with every precision that it could run."""
    from sdtc_ros.engine.select import EngineConfig
    from sdtc_ros.options import PROVIDER

    held = ["fp32", *bundle.precisions]
    return [
        EngineConfig(provider, precision)
        for provider in PROVIDER.words
        for precision in held
        if precision != ("fp16" if provider == "cpu" else "int8")
    ]


def _engine(bundle: Bundle, config: EngineConfig, what: str) -> Iterator[Finding]:
    """Open it with its gate, and look at what it gives."""
    from sdtc_ros.engine.accuracy_check import measure_deviation
    from sdtc_ros.engine.select import open_engine

    said: list[str] = []

    def report(text: str) -> None:
        said.append(text)
        print(f"  ({text})", file=sys.stderr, flush=True)  # an engine that is built takes minutes

    start = perf_counter()
    try:
        engine = open_engine(bundle, config, report=report)
    except UsageError as error:  # the provider is not available; a BundleError is for `checked`
        yield Finding(PART, MISSING if config.provider != "cpu" else BROKEN, what, str(error))
        return
    opened = perf_counter() - start
    if engine.precision != config.precision:  # a safer one has taken its place
        refused = [text.rpartition("; trying")[0] for text in said if "; trying" in text]
        yield Finding(PART, BROKEN, what, (refused or said)[0])
        return
    milliseconds = 1000 * seconds_a_person(bundle, engine)
    right, asked = drawn_people(bundle, engine)
    text = f"{milliseconds:.1f} ms a person in batches of {PEOPLE}, ready after {opened:.1f} s"
    if asked:
        text += f", {right} of {asked} joints of drawn people found"
    if what != DEFAULT:  # which is what the others are compared with
        text += f"; deviation {measure_deviation(engine, bundle, precision=engine.precision)}"
    yield Finding(PART, OK, what, text)


def seconds_a_person(bundle: Bundle, engine: Engine) -> float:
    """One encoder pass and one window each of PEOPLE people: the median of a few calls, by the wall clock."""
    import numpy as np

    width, height = bundle.input_size
    crops = np.random.default_rng(0).integers(0, 256, (PEOPLE, height, width, 3), np.uint8)
    taken = []
    for _ in range(CALLS):
        start = perf_counter()
        handles = engine.encode(crops)
        engine.estimate([[handle] * (2 * bundle.delta + 1) for handle in handles])
        taken.append(perf_counter() - start)
    return sorted(taken)[CALLS // 2] / PEOPLE


def drawn_people(bundle: Bundle, engine: Engine) -> tuple[int, int]:
    """How many visible joints of synthetic people are found (half a head near), and of how many.

    0 of 0 for a model of other joints. Raises ValueError for poses that are not numbers.
    """
    import numpy as np

    from sdtc_ros.demo import demo_clip
    from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
    from sdtc_ros.skeleton import POSETRACK
    from sdtc_ros.types import Boxes, Frame

    clip = demo_clip(2 * bundle.delta + 1)
    pipeline = Pipeline(bundle, engine, PipelineConfig())
    results = []
    for number, image in enumerate(clip.frames):
        there = np.flatnonzero(clip.present[number])
        boxes = Boxes(clip.boxes[number, there], np.ones(len(there), np.float32), clip.track_ids[there])
        results.append(pipeline.process(Frame(image, round(number * 1e9 / clip.fps)), boxes))
    frames = [result for result in [*results, *pipeline.flush()] if result is not None]
    if not all(np.isfinite(pose.keypoints).all() for frame in frames for pose in frame.poses):
        raise ValueError("its poses contain NaN")
    if bundle.skeleton != POSETRACK:
        return 0, 0
    right = asked = 0
    column = {int(track): at for at, track in enumerate(clip.track_ids)}
    for number, frame in enumerate(frames):
        for pose in frame.poses:
            at = number, column[pose.track_id]
            near = 0.3 * np.linalg.norm(clip.head_boxes[at][2:])
            distance = np.linalg.norm(pose.keypoints[:, :2] - clip.keypoints[at], axis=1)
            right += int((distance <= near)[clip.visible[at]].sum())
            asked += int(clip.visible[at].sum())
    return right, asked
