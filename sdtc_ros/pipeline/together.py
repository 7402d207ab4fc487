# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""One frame of each of several pipelines at once: their detections in one batch, their people in one.

Several cameras before one engine, as in the node.
"""

from __future__ import annotations

from collections.abc import Sequence

from sdtc_ros.detection.boxes import detect_all
from sdtc_ros.pipeline.inference import CropBuffer, Timings, infer, timed
from sdtc_ros.pipeline.pipeline import Found, Pipeline
from sdtc_ros.types import Boxes, Frame, FramePoses


def detect_together(inputs: Sequence[tuple[Pipeline, Frame, Boxes | None]]) -> list[Found | None]:
    """The people of several pipelines' frames, those who share a detector in one batch, for `Pipeline.take`.

    None where the boxes are given, or it is not a frame in which the detector is asked. Raises InputError as `take`
    does.
    """
    asked = [i for i, (pipe, frame, boxes) in enumerate(inputs) if boxes is None and pipe.will_detect(frame)]
    found: list[Found | None] = [None] * len(inputs)
    for detector in {id(inputs[i][0].detector): inputs[i][0].detector for i in asked}.values():
        rows = [i for i in asked if inputs[i][0].detector is detector]
        timings: Timings = {}
        with timed([timings], "detect"):
            people = detect_all(detector, [inputs[i][1].image for i in rows])
        for i, boxes in zip(rows, people, strict=True):
            found[i] = Found(boxes, timings["detect"])
    return found


def process_together(
    inputs: Sequence[tuple[Pipeline, Frame, Boxes | None]], buffer: CropBuffer | None = None
) -> list[FramePoses | None]:
    """One frame for each of several pipelines that share an engine: what `Pipeline.process` gives, in their order.

    Raises InputError as that does, UsageError where the engines differ. No pipeline may occur twice.
    """
    found = detect_together(inputs)
    pending = [pipe.take(frame, boxes, people) for (pipe, frame, boxes), people in zip(inputs, found, strict=True)]
    results = iter(infer([one for one in pending if one is not None], buffer or CropBuffer()))
    return [None if one is None else next(results) for one in pending]
