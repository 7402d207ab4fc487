# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The pipeline and its detector: two scores, one batch for several cameras, the default opened when it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fake_bundle import make_bundle

from sdtc_ros.detection.factory import DetectorConfig, make_detector
from sdtc_ros.engine.select import EngineConfig
from sdtc_ros.errors import UsageError
from sdtc_ros.models.bundle import Bundle
from sdtc_ros.pipeline import pipeline as module
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.pipeline.together import process_together
from sdtc_ros.types import Boxes, Frame


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


def frame(number: int) -> Frame:
    return Frame(np.zeros((120, 160, 3), np.uint8), number * 40_000_000)


class Scripted:
    """Finds one person who stands still, scored as told, a frame after the other; takes several images at once."""

    def __init__(self, *scores: float) -> None:
        self.scores, self.batches = list(scores), []

    def __call__(self, image: Any) -> Boxes:
        return self.many([image])[0]

    def many(self, images: Sequence[Any]) -> list[Boxes]:
        self.batches.append(len(images))
        box = np.array([[40, 20, 30, 80]], np.float32)
        return [Boxes(box, np.array([self.scores.pop(0)], np.float32)) for _ in images]


@pytest.mark.parametrize(
    ("scores", "people"), [((0.9, 0.35, 0.31, 0.4), [1, 1, 1, 1]), ((0.35, 0.4, 0.44, 0.46), [0, 0, 0, 1])]
)
def test_weak_boxes_continue_a_track_and_start_none(
    bundle: Bundle, scores: tuple[float, ...], people: list[int]
) -> None:
    """A person who is followed keeps a pose at scores at which nobody begins to be followed."""
    config = PipelineConfig(lookahead=0)
    pipeline = Pipeline.from_bundle(bundle.folder, config, detector=Scripted(*scores))
    results = [pipeline.process(frame(number)) for number in range(len(scores))]
    assert [len(result.poses) for result in results if result is not None] == people
    assert len({pose.track_id for result in results if result is not None for pose in result.poses}) == 1


def test_cameras_that_share_a_detector_share_its_batch(bundle: Bundle) -> None:
    """Not the camera whose boxes are given, nor the one whose detector is another."""
    shared, own = Scripted(*[0.9] * 4), Scripted(0.9)
    first = Pipeline.from_bundle(bundle.folder, PipelineConfig(lookahead=0), detector=shared)
    pipelines = [first, *(Pipeline(bundle, first.engine, first.config, detector) for detector in (shared, own, shared))]
    given = Boxes(np.array([[1, 1, 9, 9]], np.float32), np.ones(1, np.float32))
    inputs = [(pipeline, frame(0), None) for pipeline in pipelines[:3]]
    results = process_together([*inputs, (pipelines[3], frame(0), given)])
    assert shared.batches == [2]
    assert own.batches == [1]
    assert [len(result.poses) for result in results if result is not None] == [1, 1, 1, 1]
    assert [result.timings["detect"] > 0 for result in results[:3] if result is not None] == [True] * 3


def test_between_detections_nobody_is_asked(bundle: Bundle) -> None:
    detector = Scripted(*[0.9] * 4)
    pipeline = Pipeline.from_bundle(bundle.folder, PipelineConfig(lookahead=0, detect_every=2), detector=detector)
    for number in range(4):
        process_together([(pipeline, frame(number), None)])
    assert detector.batches == [1, 1]


def test_the_default_detector_is_opened_when_boxes_are_missing(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """On what the engine runs on; a pipeline that is always given boxes never opens it."""
    made = []

    def make(config: DetectorConfig | None = None, engine: EngineConfig | None = None) -> Scripted:
        made.append(engine)
        return Scripted(0.9)

    monkeypatch.setattr(module, "make_detector", make)
    engine = EngineConfig(threads=1)
    pipeline = Pipeline.from_bundle(bundle.folder, PipelineConfig(lookahead=0), engine=engine)
    pipeline.process(frame(0), Boxes(np.array([[1, 1, 9, 9]], np.float32), np.ones(1, np.float32)))
    assert made == []
    pipeline.process(frame(1))
    assert made == [engine]


def test_a_word_that_names_no_detector() -> None:
    with pytest.raises(UsageError, match="detector 'hog' is neither 'person' nor the path of an .onnx file"):
        make_detector(DetectorConfig("hog"))
