# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The pipeline against a brute-force reading of its own rules, and its bookkeeping: order, batches, memory, ends."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from fake_bundle import COVARIANCE, make_bundle
from pipeline_scenes import STEP, CountingEngine, run, scene

from sdtc_ros.crops import crop_boxes, crop_images, to_image
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.models.bundle import Bundle
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.types import Boxes, Frame


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The arithmetic bundle, delta 2."""
    return make_bundle(tmp_path_factory.mktemp("bundle"))


def brute_force(
    bundle: Bundle, clip: list[tuple[Frame, Boxes]], lookahead: int, threshold: float
) -> list[dict[int, np.ndarray]]:
    """Keypoints by id of every keyframe, from the rules alone: nothing kept but each track's crop, nothing encoded."""
    crops: dict[int, np.ndarray] = {}
    seen: dict[int, int] = {}
    aspect = bundle.input_size[0] / bundle.input_size[1]
    answers = []
    for t, (_, people) in enumerate(clip):
        answer = {}
        newest = min(t + lookahead, len(clip) - 1)
        window = [min(max(i, 0), newest) for i in range(t - 2, t + 3)]  # whoever was seen in them
        for track, box in zip(people.ids.tolist(), people.xywh, strict=True):
            fresh = crop_boxes(box[None], aspect)[0]
            held = crops.get(track) if t - seen.get(track, -9) <= 4 else None  # who was away longer is new
            seen[track] = t
            if held is None or _drift(held, fresh) > threshold:
                crops[track] = held = fresh
            colours = [
                crop_images(clip[i][0].image, held[None], bundle.input_size)[0].mean(axis=(0, 1)) for i in window
            ]
            joints = np.array([colours[k % 5] for k in range(15)])
            xy = to_image(joints[None, :, :2], held[None], bundle.input_size)[0]
            answer[track] = np.concatenate([xy, joints[:, 2:] / 255], axis=1)
        answers.append(answer)
    return answers


def _drift(held: np.ndarray, fresh: np.ndarray) -> float:
    edges = [(b[0], b[1], b[0] + b[2], b[1] + b[3]) for b in (held.astype(float), fresh.astype(float))]
    return max(abs(edges[1][i] - edges[0][i]) / held[2 + i % 2] for i in range(4))


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.2, 1e9])
@pytest.mark.parametrize("lookahead", [0, 1, 2])
def test_cached_equals_uncached(bundle: Bundle, threshold: float, lookahead: int) -> None:
    """Tokens kept or not, the poses are those of the rules: the papers' protocol at 0, lost frames and all."""
    clip = scene(25, 4, lost=0.35, seed=lookahead)
    engine = CountingEngine(bundle)
    answers = run(Pipeline(bundle, engine, PipelineConfig(lookahead=lookahead, crop_drift_threshold=threshold)), clip)
    expected = brute_force(bundle, clip, lookahead, threshold)
    assert len(answers) == len(clip)
    for (frame, people), answer, poses in zip(clip, answers, expected, strict=True):
        assert answer.frame is frame
        assert [pose.track_id for pose in answer.poses] == people.ids.tolist()
        for pose in answer.poses:
            np.testing.assert_allclose(pose.keypoints, poses[pose.track_id], rtol=1e-4, atol=1e-3)
    # the protocol encodes whole windows anew; a crop that never moves is encoded at most once a frame, also in those
    # where its person was not detected, unless who was away for long comes back as somebody new
    assert (sum(engine.encoded) <= 25 * 4) is (threshold > 1)


@pytest.mark.parametrize("every", [1, 2, 4])
def test_windows_do_not_depend_on_where_else_the_person_was_detected(bundle: Bundle, every: int) -> None:
    """The papers' protocol: boxes in every 4th frame (as in the field's val_boxes.json) give the windows of all boxes.

    Neither what is detected between nor when a track starts or ends changes what a keyframe's window shows.
    """
    clip = scene(21, 3)
    config = PipelineConfig(crop_drift_threshold=0.0)
    whole = run(Pipeline(bundle, OnnxEngine(bundle, threads=1), config), clip)
    sparse = [(frame, boxes if n % every == 0 and n >= 8 else no_people()) for n, (frame, boxes) in enumerate(clip)]
    found = run(Pipeline(bundle, OnnxEngine(bundle, threads=1), config), sparse)
    for n in range(8, 21, every):
        expected = {pose.track_id: pose.keypoints for pose in whole[n].poses}
        assert {pose.track_id for pose in found[n].poses} == set(expected)
        for pose in found[n].poses:
            np.testing.assert_allclose(pose.keypoints, expected[pose.track_id], atol=1e-3)
        colours = np.stack([pose.keypoints[:5] for pose in found[n].poses])
        assert n == 20 or np.ptp(colours, axis=1).min() > 1e-3  # five frames, not five times the keyframe


def test_a_new_person_costs_a_window_once(bundle: Bundle) -> None:
    """Who appears late is answered from the frames before, at one window's encodes; then one a frame."""
    clip = scene(12, 2)
    boxes = clip[0][1]
    first = Boxes(boxes.xywh[:1], boxes.scores[:1], boxes.ids[:1])
    engine = CountingEngine(bundle)
    pipeline = Pipeline(bundle, engine, PipelineConfig(lookahead=0))
    for n, (frame, _) in enumerate(clip):
        pipeline.process(frame, boxes if n >= 6 else first)
    assert engine.encoded == [1] * 6 + [1 + 3] + [2] * 5  # frames 4, 5 and 6; causal windows hold no later ones


def test_a_held_crop_costs_one_encode_a_person_and_frame(bundle: Bundle) -> None:
    """People who stand still: one batch of each kind a frame, one crop a person once the windows are full."""
    clip = scene(12, 5)
    still = [(frame, clip[0][1]) for frame, _ in clip]
    engine = CountingEngine(bundle)
    pipeline = Pipeline(bundle, engine, PipelineConfig(crop_drift_threshold=0.0))
    for frame, boxes in still:
        pipeline.process(frame, boxes)
    assert engine.encoded == [15] + [5] * 9  # the first keyframe comes with the third frame, and asks for all three
    assert engine.estimated == [5] * 10


def test_moving_people_share_the_frames_batch(bundle: Bundle) -> None:
    """However many crops move, there is one encode and one estimate a keyframe."""
    engine = CountingEngine(bundle)
    answers = run(Pipeline(bundle, engine, PipelineConfig(crop_drift_threshold=0.0)), scene(12, 6))
    assert len(engine.encoded) == len(engine.estimated) == len(answers) == 12
    assert engine.encoded[3:10] == [30] * 7  # 6 people, 5 frames each


@pytest.mark.parametrize("lookahead", [0, 1, 2])
def test_answers_come_lookahead_frames_late_and_in_order(bundle: Bundle, lookahead: int) -> None:
    """Keyframe t with frame t + lookahead; flush gives what is left, once; empty frames are answered as well."""
    pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=1), PipelineConfig(lookahead=lookahead))
    clip = scene(8, 2, lost=0.5, seed=3)
    for number, (frame, boxes) in enumerate(clip):
        answer = pipeline.process(frame, boxes)
        if number < lookahead:
            assert answer is None
        else:
            assert answer is not None and answer.frame is clip[number - lookahead][0]
            assert len(answer.poses) == len(clip[number - lookahead][1])
    assert [answer.frame.stamp for answer in pipeline.flush()] == [f.stamp for f, _ in clip[len(clip) - lookahead :]]
    assert pipeline.flush() == []


def test_pose_carries_box_scores_and_covariance_in_image_pixels(bundle: Bundle) -> None:
    """The joint's score is its own; the pose's is their mean times the box's."""
    pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=1), PipelineConfig(lookahead=0))
    ((frame, boxes),) = scene(1, 1)
    answer = pipeline.process(frame, boxes)
    assert answer is not None
    pose = answer.poses[0]
    np.testing.assert_array_equal(pose.box, boxes.xywh[0])
    assert pose.box_score == pytest.approx(float(boxes.scores[0]))
    assert pose.score == pytest.approx(pose.keypoints[:, 2].mean() * boxes.scores[0], rel=1e-5)
    crop = crop_boxes(boxes.xywh, 24 / 32)[0]
    sx, sy = crop[2] / 23, crop[3] / 31
    np.testing.assert_allclose(
        pose.covariance[0], [COVARIANCE[0] * sx * sx, COVARIANCE[1] * sx * sy, COVARIANCE[2] * sy * sy], rtol=1e-4
    )
    assert {"track", "crop", "encode", "estimate"} <= set(answer.timings)


def test_windows_do_not_reach_over_a_gap_or_a_jump_back(bundle: Bundle) -> None:
    """What waits is still answered, from frames of its own side; with a threshold of 0 the two sides are two runs."""
    config = PipelineConfig(crop_drift_threshold=0.0)
    clip = scene(12, 3)
    for jump in (10_000_000_000, -3 * STEP):
        late = [(Frame(f.image, f.stamp + jump, name=f.name), b) for f, b in clip[6:]]
        together = run(Pipeline(bundle, OnnxEngine(bundle, threads=1), config), clip[:6] + late)
        apart = [
            a for side in (clip[:6], late) for a in run(Pipeline(bundle, OnnxEngine(bundle, threads=1), config), side)
        ]
        assert [a.frame.stamp for a in together] == [a.frame.stamp for a in apart]
        for one, other in zip(together, apart, strict=True):
            for a, b in zip(one.poses, other.poses, strict=True):
                np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-3)


def test_tracks_end_at_a_jump_back(bundle: Bundle) -> None:
    """A bag played in a loop: the person who stands there gets a new id, and is tracked from the first frame on."""
    pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=1), PipelineConfig(lookahead=0))
    boxes = Boxes(np.array([[20, 20, 30, 60]], np.float32), np.ones(1, np.float32))
    ids = []
    for number in (0, 1, 2, 0, 1, 2):
        answer = pipeline.process(Frame(np.zeros((120, 160, 3), np.uint8), number * STEP), boxes)
        assert answer is not None
        ids.append([pose.track_id for pose in answer.poses])
    assert ids == [[1]] * 3 + [[2]] * 3


def test_an_image_of_another_size_starts_anew(bundle: Bundle) -> None:
    """A camera that changes its resolution makes no window of two scales."""
    clip = scene(4, 2)
    half = [(Frame(f.image[::2, ::2], f.stamp + 4 * STEP), b) for f, b in clip]
    pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=1))
    expected = run(Pipeline(bundle, OnnxEngine(bundle, threads=1)), half)
    for one, other in zip(run(pipeline, clip + half)[4:], expected, strict=True):
        for a, b in zip(one.poses, other.poses, strict=True):
            np.testing.assert_allclose(a.keypoints, b.keypoints, atol=1e-3)


@pytest.mark.slow
def test_memory_is_flat_over_people_coming_and_going(bundle: Bundle) -> None:
    """2000 frames, a new person every third: few tracks held, old frames and tokens freed."""
    pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=1))
    rng = np.random.default_rng(0)
    held, frames = [], []
    for number in range(2000):
        image = np.zeros((40, 60, 3), np.uint8)
        frames.append(weakref.ref(image))
        ids = np.arange(number // 3, number // 3 + 4)
        xywh = np.concatenate([rng.uniform(0, 20, (4, 2)), rng.uniform(10, 20, (4, 2))], axis=1).astype(np.float32)
        pipeline.process(Frame(image, number * STEP), Boxes(xywh, np.ones(4, np.float32), ids))
        held.append(len(pipeline.ring))
    del image
    gc.collect()
    assert max(held) <= 6
    assert sum(frame() is not None for frame in frames) <= 5
    assert len(pipeline.ring._last_seen) <= 16  # the arrays did not grow either
    assert sum(token is not None for token in pipeline.ring._tokens.ravel()) <= 6 * 5
    for _ in range(5):
        number += 1
        pipeline.process(Frame(np.zeros((40, 60, 3), np.uint8), number * STEP), no_people())
    assert len(pipeline.ring) == 0
    assert all(token is None for token in pipeline.ring._tokens.ravel())


def no_people() -> Boxes:
    """An empty frame's boxes, with ids."""
    return Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


def test_frames_are_not_copied(bundle: Bundle) -> None:
    """The answer holds the very frame that came in."""
    pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=1), PipelineConfig(lookahead=0))
    frame, boxes = scene(1, 2)[0]
    answer = pipeline.process(frame, boxes)
    assert answer is not None and answer.frame.image is frame.image
    assert pipeline.ring._frames[0] is frame


def test_unusable_boxes_are_dropped_counted_and_said_once(bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    """Outside the image, not finite, without area: no crash, no pose, one warning."""
    pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=1), PipelineConfig(lookahead=0))
    image = np.zeros((100, 100, 3), np.uint8)
    bad = [[200, 0, 10, 10], [-50, 0, 50, 10], [0, 0, np.nan, 10], [0, 0, 0, 10], [0, 0, np.inf, 10], [0, 0, 9, -3]]
    for number in range(2):
        boxes = Boxes(np.array(bad, np.float32), np.ones(6, np.float32))
        answer = pipeline.process(Frame(image, number * STEP), boxes)
        assert answer is not None and answer.poses == []
    assert pipeline.dropped_boxes == 12
    assert len(caplog.records) == 1 and "all 6 boxes" in caplog.text
    partly = Boxes(np.array([[90, 90, 40, 40], [200, 0, 9, 9]], np.float32), np.ones(2, np.float32))
    answer = pipeline.process(Frame(image, 2 * STEP), partly)
    assert answer is not None and len(answer.poses) == 1


def test_max_people_and_min_score_choose(bundle: Bundle) -> None:
    """The best are taken, weak ones dropped without being called invalid."""
    config = PipelineConfig(lookahead=0, max_people=2, min_box_score=0.2)
    pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=1), config)
    xywh = np.array([[10 * i, 10, 20, 40] for i in range(4)], np.float32)
    boxes = Boxes(xywh, np.array([0.1, 0.5, 0.9, 0.7], np.float32), np.array([4, 5, 6, 7]))
    answer = pipeline.process(Frame(np.zeros((100, 100, 3), np.uint8), 0), boxes)
    assert answer is not None and [pose.track_id for pose in answer.poses] == [6, 7]
    assert pipeline.dropped_boxes == 0


def test_detector_every_third_frame_moves_boxes_on_between(bundle: Bundle) -> None:
    """A person at constant speed: detected in frames 0, 3, 6 ..., expected where it is in the others."""
    calls: list[int] = []

    def where(number: int) -> list[float]:
        return [20 + 4.0 * number, 30, 30, 60]

    def detector(image: np.ndarray) -> Boxes:
        calls.append(int(image[0, 0, 0]))
        return Boxes(np.array([where(calls[-1])], np.float32), np.ones(1, np.float32))

    config = PipelineConfig(lookahead=0, detect_every=3)
    pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=1), config, detector)
    for number in range(12):
        answer = pipeline.process(Frame(np.full((120, 160, 3), number, np.uint8), number * STEP))
        assert answer is not None and [pose.track_id for pose in answer.poses] == [1]
        if number >= 3:  # a speed is known from the second detection on
            np.testing.assert_allclose(answer.poses[0].box, where(number), atol=0.5)
    assert calls == [0, 3, 6, 9]


def test_wrong_arguments_and_images(bundle: Bundle) -> None:
    """One sentence each."""
    engine = OnnxEngine(bundle, threads=1)
    with pytest.raises(UsageError, match="lookahead must be between 0 and 2"):
        Pipeline(bundle, engine, PipelineConfig(lookahead=3))
    threshold = "crop_drift_threshold"
    for wrong in ((threshold, -0.1), (threshold, float("nan")), ("detect_every", 0), ("max_gap", 0.0)):
        with pytest.raises(UsageError, match="must be"):
            PipelineConfig(**dict([wrong]))
    pipeline = Pipeline(bundle, engine)
    for image in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8), None):
        with pytest.raises(InputError, match="the frame of stamp 7"):
            pipeline.process(Frame(image, 7))
    boxes = Boxes(np.zeros((2, 4), np.float32), np.zeros(1, np.float32))
    with pytest.raises(InputError, match="do not match"):
        pipeline.process(Frame(np.zeros((4, 4, 3), np.uint8), 7), boxes)


def test_reset_forgets(bundle: Bundle) -> None:
    """After a reset the same clip gives the same poses again, and nothing of the first run comes out."""
    pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=1))
    clip = scene(6, 2)
    first = run(pipeline, clip)
    pipeline.process(*clip[0])
    pipeline.reset()
    second = run(pipeline, clip)
    for one, other in zip(first, second, strict=True):
        assert [p.track_id for p in one.poses] == [p.track_id for p in other.poses]
        for a, b in zip(one.poses, other.poses, strict=True):
            np.testing.assert_array_equal(a.keypoints, b.keypoints)


def test_the_crop_drift_threshold_answers_to_its_former_name() -> None:
    config = PipelineConfig(sticky=0.25, min_box_score=0)
    assert config.crop_drift_threshold == 0.25
    assert replace(config, lookahead=0).crop_drift_threshold == 0.25
    with pytest.raises(UsageError, match="crop_drift_threshold must be >= 0"):
        PipelineConfig(sticky=-1)
