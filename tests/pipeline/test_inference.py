# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Several cameras on one engine: each gets what it would get alone, in one encode and one estimate for all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fake_bundle import make_bundle
from pipeline_scenes import CountingEngine, scene

from sdtc_ros.errors import UsageError
from sdtc_ros.models.bundle import Bundle
from sdtc_ros.pipeline.inference import CropBuffer, infer
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.pipeline.together import process_together
from sdtc_ros.types import Boxes, FramePoses


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


def assert_same(one: FramePoses | None, other: FramePoses | None) -> None:
    assert (one is None) == (other is None)
    if one is None or other is None:
        return
    assert one.frame is other.frame
    assert [pose.track_id for pose in one.poses] == [pose.track_id for pose in other.poses]
    for a, b in zip(one.poses, other.poses, strict=True):
        assert a.score == pytest.approx(b.score)
        np.testing.assert_array_equal(a.box, b.box)
        np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-4)
        np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-5)


@pytest.mark.parametrize("lookahead", [0, 2])
def test_cameras_together_give_what_each_gives_alone(bundle: Bundle, lookahead: int) -> None:
    """Three cameras of 3, 0 and 5 people, lost ones and moving crops among them."""
    config = PipelineConfig(lookahead=lookahead, crop_drift_threshold=0.02)
    clips = [scene(15, people, lost=0.2, seed=people) for people in (3, 0, 5)]
    engine = CountingEngine(bundle)
    alone = [Pipeline(bundle, CountingEngine(bundle), config) for _ in clips]
    together = [Pipeline(bundle, engine, config) for _ in clips]
    buffer = CropBuffer()
    for number in range(15):
        engine.encoded.clear()
        engine.estimated.clear()
        frames = [clip[number] for clip in clips]
        answers = process_together(
            [(pipeline, *frame) for pipeline, frame in zip(together, frames, strict=True)], buffer
        )
        for pipeline, frame, one in zip(alone, frames, answers, strict=True):
            assert_same(one, pipeline.process(*frame))
        assert len(engine.encoded) == len(engine.estimated) == (number >= lookahead)
        people = sum(len(one.poses) for one in answers if one is not None)
        assert sum(engine.estimated) == people
    for one, other in zip(together, alone, strict=True):
        for a, b in zip(one.flush(), other.flush(), strict=True):
            assert_same(a, b)


def test_a_camera_that_has_no_frame_now_is_left_alone(bundle: Bundle) -> None:
    """Cameras of different rates: who is in the batch does not matter to anybody's poses."""
    engine = CountingEngine(bundle)
    clips = [scene(12, 2, seed=1), scene(12, 3, seed=2)]
    config = PipelineConfig(lookahead=1)
    alone = [Pipeline(bundle, CountingEngine(bundle), config) for _ in clips]
    together = [Pipeline(bundle, engine, config) for _ in clips]
    for number in range(12):
        has_frame = [True, number % 3 == 0]
        given = [(together[i], *clips[i][number]) for i in (0, 1) if has_frame[i]]
        expected = [alone[i].process(*clips[i][number]) for i in (0, 1) if has_frame[i]]
        for one, other in zip(process_together(given), expected, strict=True):
            assert_same(one, other)


def test_shared_stages_are_timed_for_everybody(bundle: Bundle) -> None:
    engine = CountingEngine(bundle)
    pipelines = [Pipeline(bundle, engine, PipelineConfig(lookahead=0)) for _ in range(2)]
    clip = scene(1, 2)
    one, other = process_together([(pipeline, *clip[0]) for pipeline in pipelines])
    assert one is not None and other is not None
    for stage in ("encode", "estimate"):
        assert one.timings[stage] == other.timings[stage] > 0
    for stage in ("track", "crop"):
        assert one.timings[stage] > 0 and other.timings[stage] > 0
        assert one.timings[stage] != other.timings[stage]


def test_engines_must_be_one(bundle: Bundle) -> None:
    pipelines = [Pipeline(bundle, CountingEngine(bundle), PipelineConfig(lookahead=0)) for _ in range(2)]
    clip = scene(1, 1)
    with pytest.raises(UsageError, match="must share one engine"):
        process_together([(pipeline, *clip[0]) for pipeline in pipelines])
    assert infer([], CropBuffer()) == []


def test_the_buffer_is_kept_and_follows_the_crops_size() -> None:
    buffer = CropBuffer()
    first = buffer.take(5, (24, 32))
    assert first.shape == (5, 32, 24, 3)
    assert np.shares_memory(first, buffer.take(2, (24, 32)))
    assert buffer.take(6, (24, 32)).shape == (6, 32, 24, 3)
    assert buffer.take(1, (16, 20)).shape == (1, 20, 16, 3)


def test_a_successor_goes_on_with_the_same_people(bundle: Bundle, tmp_path_factory: Any) -> None:
    """Another model with another crop and window: ids go on, what waited is answered by the old one, nothing twice."""
    other = make_bundle(tmp_path_factory.mktemp("other"), delta=1, size=(36, 48))
    clip = [(frame, Boxes(boxes.xywh, np.ones(3, np.float32))) for frame, boxes in scene(9, 3, seed=4)]
    old = Pipeline(bundle, CountingEngine(bundle))
    answers = [old.process(frame, boxes) for frame, boxes in clip[:5]]
    new = old.successor(other, CountingEngine(other))
    answers += old.flush()
    answers += [new.process(frame, boxes) for frame, boxes in clip[5:]] + new.flush()
    given = [one for one in answers if one is not None]
    assert [one.frame.stamp for one in given] == [frame.stamp for frame, _ in clip]
    ids = [sorted(pose.track_id for pose in one.poses) for one in given]
    assert ids == [ids[0]] * len(clip), "nobody got a new id"
    too_small = PipelineConfig(lookahead=2)
    with pytest.raises(UsageError, match="lookahead must be between 0 and 1"):
        Pipeline(bundle, CountingEngine(bundle), too_small).successor(other, CountingEngine(other))


def test_settings_change_between_frames(bundle: Bundle) -> None:
    """Fewer people from the next frame on; what a running pipeline cannot change is refused."""
    pipeline = Pipeline(bundle, CountingEngine(bundle), PipelineConfig(lookahead=0))
    clip = scene(2, 4)
    first = pipeline.process(*clip[0])
    pipeline.configure(PipelineConfig(lookahead=0, max_people=1, crop_drift_threshold=0.5))
    second = pipeline.process(*clip[1])
    assert first is not None and second is not None
    assert (len(first.poses), len(second.poses)) == (4, 1)
    assert pipeline.ring.threshold == 0.5
    with pytest.raises(UsageError, match="cannot be changed on a running"):
        pipeline.configure(PipelineConfig(lookahead=1))
