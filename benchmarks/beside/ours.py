# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Our pipeline as a contender: mode "boxes" gets every frame's boxes, "detector" finds people by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
if str(ROOT) not in sys.path:  # worker.py runs as a script
    sys.path.insert(0, str(ROOT))

from benchmarks.beside.worker import JOINTS  # noqa: E402
from sdtc_ros.engine.ort.host import OnnxEngine  # noqa: E402
from sdtc_ros.models.bundle import load_bundle  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402
from sdtc_ros.types import Boxes, Frame, FramePoses  # noqa: E402

RATE = 30
DETECT_EVERY = 10


class Player:
    """Plays one clip; `points` T x P x 13 x 2 image pixels, NaN where nobody was found."""

    reads = "boxes"

    def __init__(self, mode: str, shape: tuple[int, ...], pipeline: Pipeline) -> None:
        """Reset the pipeline; without boxes it takes one person a frame, as the other contender does."""
        self.points = np.full(shape, np.nan)
        self._given = mode == "boxes"
        self._pipeline = pipeline
        most = PipelineConfig.max_people if self._given else 1
        pipeline.configure(replace(pipeline.config, max_people=most))
        joints = pipeline.bundle.skeleton.joints
        self._joints = [joints.index(joint) for joint in JOINTS]
        pipeline.reset()

    def step(self, number: int, image: Any, boxes: Any) -> None:
        """One frame with P x 4 boxes of people; the result is that of a frame before."""
        there = np.flatnonzero(~np.isnan(boxes[:, 0]))
        people = Boxes(boxes[there].astype(np.float32), np.ones(len(there), np.float32), there + 1)
        frame = Frame(image, number * 1_000_000_000 // RATE, name=str(number))
        self._keep(self._pipeline.process(frame, people if self._given else None))

    def finish(self) -> None:
        """Take the results that still wait."""
        for answer in self._pipeline.flush():
            self._keep(answer)

    def _keep(self, answer: FramePoses | None) -> None:
        if answer is None:
            return
        poses = answer.poses if self._given else sorted(answer.poses, key=lambda pose: -pose.score)[:1]
        for pose in poses:
            person = pose.track_id - 1 if self._given else 0
            self.points[int(answer.frame.name), person] = pose.keypoints[self._joints, :2]


def maker(settings: dict[str, Any]) -> Callable[[str, tuple[int, ...]], Player]:
    """What worker.serve asks for a player a clip; settings: bundle (a folder) and threads."""
    bundle = load_bundle(settings["bundle"])
    config = PipelineConfig(detect_every=DETECT_EVERY)
    pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=settings["threads"]), config)
    return lambda mode, shape: Player(mode, shape, pipeline)
