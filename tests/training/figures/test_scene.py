# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Synthetic clips: the truth is where the pixels are, and a seed fixes all of it."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from sdtc_ros.skeleton import POSETRACK
from training.data.figures import Clip, SceneConfig, iterate_clip, render_clip, scene
from training.data.figures.body import pose_body, random_looks
from training.data.figures.motion import KINDS, Angles, angles_at, random_motion

pytestmark = pytest.mark.slow

ALONE = SceneConfig(
    width=320, height=240, frames=2, people=(1, 1), things=(0, 0), exposure=(0, 0), person_height=(90, 200)
)
CROWD = replace(ALONE, people=(4, 4), things=(1, 2), person_height=(60, 180), crossing=1.0)
SEEDS = range(12)
HEAD_BOTTOM, HEAD_TOP, NOSE = (POSETRACK.index(name) for name in ("head_bottom", "head_top", "nose"))


def is_inside(points: np.ndarray, config: SceneConfig, margin: float = 2) -> np.ndarray:
    return np.all((points >= margin) & (points <= (config.width - 1 - margin, config.height - 1 - margin)), axis=-1)


def values_at(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A picture's values at points ... x 2 inside it."""
    x, y = np.moveaxis(np.round(points).astype(int), -1, 0)
    return picture[y, x]


def drawn_by(monkeypatch, config: SceneConfig, seed: int, clip: Clip, person: int) -> list[np.ndarray]:
    """How much each pixel of each frame differs from the same clip without that person, H x W."""
    draw = scene.draw_person

    def draw_others(image, looks, body, height, light):
        here = body.joints[:, :2].astype(np.float32)
        if not any(np.array_equal(here, joints) for joints in clip.keypoints[:, person]):
            draw(image, looks, body, height, light)

    with monkeypatch.context() as patch:
        patch.setattr(scene, "draw_person", draw_others)
        without = render_clip(config, seed).frames
    pairs = zip(clip.frames, without, strict=True)
    return [np.abs(a.astype(int) - b).max(axis=2) for a, b in pairs]


@pytest.fixture
def truth_only(monkeypatch):
    """Nobody is drawn, which takes most of the time."""
    monkeypatch.setattr(scene, "draw_person", lambda *arguments: None)


def test_a_seed_fixes_every_byte():
    one, again = render_clip(CROWD, 5), render_clip(CROWD, 5)
    for field in fields(Clip):
        assert np.array_equal(getattr(one, field.name), getattr(again, field.name)), field.name


def test_other_seeds_are_other_scenes():
    clips = [render_clip(CROWD, seed) for seed in range(4)]
    for i, one in enumerate(clips):
        for other in clips[:i]:
            assert np.abs(one.keypoints - other.keypoints).mean() > 5
            assert np.abs(one.frames[0].astype(int) - other.frames[0]).mean() > 10


def test_frame_by_frame_is_the_whole_clip():
    clip = render_clip(CROWD, 7)
    for number, truth in enumerate(iterate_clip(CROWD, 7)):
        assert np.array_equal(truth.image, clip.frames[number])
        for name in ("keypoints", "visible", "blurred", "boxes", "head_boxes", "present"):
            assert np.array_equal(getattr(truth, name), getattr(clip, name)[number]), name


def test_what_a_clip_holds():
    clip = render_clip(CROWD, 1)
    assert [(frame.shape, frame.dtype.name) for frame in clip.frames] == [((240, 320, 3), "uint8")] * 2
    shapes = {name: getattr(clip, name).shape for name in ("keypoints", "visible", "blurred", "boxes", "present")}
    assert shapes == {
        "keypoints": (2, 4, 15, 2), "visible": (2, 4, 15), "blurred": (2, 4, 15), "boxes": (2, 4, 4), "present": (2, 4),
    }  # fmt: skip
    assert clip.track_ids.tolist() == [1, 2, 3, 4]
    assert clip.fps == CROWD.fps


def test_numbers_of_people_are_inclusive(truth_only):
    config = replace(ALONE, frames=1, people=(1, 3))
    counts = {render_clip(config, seed).keypoints.shape[1] for seed in range(20)}
    assert counts == {1, 2, 3}


def test_joints_and_limbs_are_where_the_person_is_drawn(monkeypatch):
    shares = np.linspace(0, 1, 6)[:, None, None]
    limbs = np.array(POSETRACK.limbs)
    on, off = [], []
    for seed in SEEDS:
        clip = render_clip(ALONE, seed)
        for frame, drawn in enumerate(drawn_by(monkeypatch, ALONE, seed, clip, 0)):
            joints, height = clip.keypoints[frame, 0], clip.boxes[frame, 0, 3]
            along = (1 - shares) * joints[limbs[:, 0]] + shares * joints[limbs[:, 1]]  # 6 x limbs x 2
            aside = along + [0.25 * height, 0.0]
            both = is_inside(along, ALONE) & is_inside(aside, ALONE)
            on.append(np.where(both, values_at(drawn, np.where(both[..., None], along, 9)) > 3, np.nan))
            off += (values_at(drawn, aside[both]) > 3).tolist()
    by_limb = np.nanmean(on, axis=(0, 1))
    assert np.isfinite(on).sum() > 1000
    assert by_limb.min() > 0.9  # clothes may have the background's colour here and there
    assert by_limb.mean() > 0.95
    assert np.mean(off) < 0.3


def test_ends_of_limbs_are_their_joints(monkeypatch):
    """The head's top, the wrists and the ankles are at the border of what is drawn, not somewhere in the middle."""
    ends = [POSETRACK.index(name) for name in ("head_top", "left_ankle", "right_ankle")]
    beyond = {"head_top": -1, "left_ankle": 1, "right_ankle": 1}
    inner = outer = total = 0
    for seed in SEEDS:
        clip = render_clip(ALONE, seed)
        drawn = drawn_by(monkeypatch, ALONE, seed, clip, 0)[0]
        height = clip.boxes[0, 0, 3]
        for joint in ends:
            way = beyond[POSETRACK.joints[joint]]
            x, y = clip.keypoints[0, 0, joint]
            near, far = np.array([[x, y - way * 0.03 * height], [x, y + way * 0.1 * height]])
            if is_inside(near, ALONE) and is_inside(far, ALONE):
                total += 1
                inner += values_at(drawn, near) > 3
                outer += values_at(drawn, far) > 3
    assert total >= 15
    assert inner >= 0.9 * total
    assert outer <= 0.1 * total


def test_visible_joints_are_seen_and_hidden_ones_are_not(monkeypatch):
    """Taking the person out of the picture changes it where a joint is said to be visible, and only there."""
    config = replace(CROWD, frames=1)
    changed = {True: [], False: []}
    for seed in SEEDS:
        clip = render_clip(config, seed)
        for person in range(4):
            for frame, drawn in enumerate(drawn_by(monkeypatch, config, seed, clip, person)):
                joints, visible = clip.keypoints[frame, person], clip.visible[frame, person]
                inside = is_inside(joints, config)
                for said in changed:
                    changed[said] += (values_at(drawn, joints[inside & (visible == said)]) > 3).tolist()
    assert min(len(values) for values in changed.values()) > 80
    assert np.mean(changed[True]) > 0.93
    assert np.mean(changed[False]) < 0.1  # outlines are a little wider than silhouettes


def thing_over_all(monkeypatch, depth: float) -> None:
    """One thing that covers the whole image but its left 5 columns."""
    wall = scene._Thing((5.0, -50.0, 900.0, 900.0), (10.0, 240.0, 10.0), (10.0, 240.0, 10.0), depth)
    monkeypatch.setattr(scene, "_random_thing", lambda random, config: wall)


@pytest.mark.parametrize(("depth", "seen"), [(1e9, False), (-1e9, True)])
def test_a_thing_hides_who_is_behind_it(monkeypatch, depth, seen):
    thing_over_all(monkeypatch, depth)
    config = replace(ALONE, things=(1, 1))
    for seed in SEEDS:
        clip = render_clip(config, seed)
        inside = is_inside(clip.keypoints, config) & (clip.keypoints[..., 0] > 8 + 60)  # the pan moves it by 48 at most
        assert inside.any()
        assert (clip.visible[inside] == seen).all()
        green = clip.frames[0][..., 1].astype(int) - clip.frames[0][..., 2]
        assert (np.median(values_at(green, clip.keypoints[0][inside[0]])) > 150) != seen


def test_a_nose_beyond_the_head_s_outline_is_visible():
    """Seen from the side it stands before the background, and nothing hides it."""
    for seed in range(20):
        clip = render_clip(ALONE, seed)
        assert np.array_equal(clip.visible, is_inside(clip.keypoints, ALONE, margin=-0.5))


def test_the_one_in_front_hides_the_one_behind(monkeypatch):
    """Two people at one place: the nearer one stays visible, the other is occluded in part."""
    make = scene._random_actor

    def meet(random, config, duration):
        actor = make(random, config, duration)
        actor.height, actor.x, actor.foot = 150.0, 160.0, 200.0
        return replace(actor, motion=replace(actor.motion, kind="stand", speed=0.0), yaw=0.0, turning=0.0)

    monkeypatch.setattr(scene, "_random_actor", meet)
    config = replace(ALONE, people=(2, 2), crossing=0.0, frames=1)
    for seed in range(6):
        random = np.random.default_rng(seed)
        depths = [actor.depth for actor in scene._random_scene(random, config).actors]
        near = int(np.argmax(depths))
        visible = render_clip(config, seed).visible[0]
        assert visible[near].sum() >= 13  # a hand may be before the own trunk's silhouette, never behind the other
        assert visible[1 - near].sum() <= 8


def test_joints_outside_the_image_are_not_visible(truth_only):
    config = replace(ALONE, person_height=(220, 300))
    before, beyond = [], []
    for seed in range(20):
        clip = render_clip(config, seed)
        before.append(np.any(clip.keypoints < -0.5, axis=-1))
        beyond.append(np.any(clip.keypoints > (config.width - 0.5, config.height - 0.5), axis=-1))
        assert not clip.visible[before[-1] | beyond[-1]].any()
    assert min(np.sum(before), np.sum(beyond)) > 20


def test_boxes_hold_the_whole_body(monkeypatch):
    make = scene.random_looks
    monkeypatch.setattr(scene, "random_looks", lambda random: replace(make(random), bag=None))  # no part of the body
    for seed in SEEDS:
        clip = render_clip(ALONE, seed)
        low, high = clip.boxes[..., None, :2], clip.boxes[..., None, :2] + clip.boxes[..., None, 2:]
        assert np.all((clip.keypoints > low) & (clip.keypoints < high))
        slack = np.minimum(clip.keypoints - low, high - clip.keypoints).min(axis=2)
        assert np.all(slack < 0.2 * clip.boxes[..., 2:].max(axis=-1, keepdims=True))  # not much larger than the body
        for drawn, (x, y), (right, bottom) in zip(
            drawn_by(monkeypatch, ALONE, seed, clip, 0), low[:, 0, 0], high[:, 0, 0], strict=True
        ):
            rows, columns = np.nonzero(drawn > 20)
            held = (columns >= x) & (columns <= right) & (rows >= y) & (rows <= bottom)
            assert held.mean() > 0.94  # hands and feet too; limbs are thicker than the margin here and there


def test_present_is_whose_box_meets_the_image(truth_only):
    config = replace(CROWD, fps=2.0, frames=10)  # long enough to walk out of it
    gone = {"left": 0, "right": 0}
    for seed in SEEDS:
        clip = render_clip(config, seed)
        low, high = clip.boxes[..., :2], clip.boxes[..., :2] + clip.boxes[..., 2:]
        assert np.array_equal(clip.present, np.all((low < (config.width, config.height)) & (high > 0), axis=-1))
        gone["left"] += np.sum(high[..., 0] < 0)
        gone["right"] += np.sum(low[..., 0] > config.width)
    assert min(gone.values()) > 5


def test_head_boxes_span_the_head(truth_only):
    for seed in SEEDS:
        clip = render_clip(CROWD, seed)
        joints = clip.keypoints
        low, high = clip.head_boxes[..., :2], clip.head_boxes[..., :2] + clip.head_boxes[..., 2:]
        for joint in (HEAD_BOTTOM, HEAD_TOP):
            assert np.all((joints[..., joint, :] >= low - 1e-3) & (joints[..., joint, :] <= high + 1e-3))
        between = (joints[..., HEAD_BOTTOM, :] + joints[..., HEAD_TOP, :]) / 2
        tall = np.abs(joints[..., HEAD_BOTTOM, 1] - joints[..., HEAD_TOP, 1])
        size = 0.6 * np.hypot(clip.head_boxes[..., 2], clip.head_boxes[..., 3])  # poseval's
        assert np.all(np.abs(between - (low + high) / 2)[..., 0] < 1e-3)
        assert np.all(clip.head_boxes[..., 3] >= tall - 1e-3)
        assert np.all((size > 0.5 * tall) & (size < 0.35 * clip.boxes[..., 3]))


def test_tracks_are_people_who_move_steadily(truth_only):
    config = replace(CROWD, frames=12, fps=25.0)
    for seed in range(6):
        clip = render_clip(config, seed)
        heights = clip.boxes[..., 3]
        steps = np.linalg.norm(np.diff(clip.keypoints, axis=0), axis=-1) / heights[1:, :, None]
        assert steps.max() < 0.4  # a dancer's hand
        assert steps[..., HEAD_BOTTOM].max() < 0.15
        assert np.all(np.abs(np.diff(heights, axis=0)) < 0.15 * heights[1:])


def test_blur_is_the_way_a_joint_goes_in_the_exposure(truth_only):
    """At 50 frames a second an exposure of 40 ms lasts from one neighbour's moment to the other's."""
    config = replace(CROWD, fps=50.0, frames=5, exposure=(0.04, 0.04))
    blurred = []
    for seed in range(10, 20):
        clip = render_clip(config, seed)
        way = np.linalg.norm(clip.keypoints[2:] - clip.keypoints[:-2], axis=-1)
        if clip.blurred.any():  # some cameras have a short exposure
            blurred.append(seed)
            np.testing.assert_allclose(clip.blurred[1:-1], way, atol=0.01)
    assert 0 < len(blurred) < 10
    assert not render_clip(ALONE, 0).blurred.any()


def test_fast_joints_are_smeared_in_the_picture_and_slow_ones_are_not():
    sharp = replace(ALONE, frames=1, person_height=(180, 200))
    fast, slow = [], []
    for seed in range(30):
        clear, smeared = (render_clip(replace(sharp, exposure=(t, t)), seed) for t in (0.0, 0.06))
        assert np.array_equal(clear.keypoints, smeared.keypoints)
        difference = np.abs(clear.frames[0].astype(int) - smeared.frames[0]).max(axis=2)
        inside = is_inside(clear.keypoints[0, 0], sharp, margin=8)
        for (x, y), moved in zip(
            clear.keypoints[0, 0][inside].round().astype(int), smeared.blurred[0, 0][inside], strict=True
        ):
            around = difference[y - 8 : y + 9, x - 8 : x + 9].mean()
            (fast if moved > 8 else slow if moved < 1 else []).append(around)
    assert min(len(fast), len(slow)) > 20
    assert np.mean(fast) > 4 * np.mean(slow)


def test_left_is_the_person_s_own_left():
    """Who faces the camera has the left hand on the image's right; from behind it is the other way round."""
    random = np.random.default_rng(0)
    still = Angles([0.0] * 2, [0.0] * 2, [0.0] * 2, [0.0] * 2, [0.1] * 2, lean=0.0, twist=0.0, look=0.0)
    left, right = POSETRACK.index("left_wrist"), POSETRACK.index("right_wrist")
    body = pose_body(random_looks(random), still)
    assert body.joints[left, 2] > 0 > body.joints[right, 2]
    motion = replace(random_motion(random), kind="stand", speed=0.0, wobble_rate=np.zeros(12), habit=np.zeros(12))
    for yaw, sign in ((0.0, 1), (np.pi, -1)):
        actor = scene._Actor(random_looks(random), motion, 100.0, yaw, 0.0, 50.0, 90.0, 0.0)
        joints = actor.project(0.0)[0].joints
        assert sign * (joints[left, 0] - joints[right, 0]) > 10
        assert sign * (joints[NOSE, 2] - joints[HEAD_TOP, 2]) > 0  # the nose is before or behind the head
        assert joints[HEAD_TOP, 1] < joints[HEAD_BOTTOM, 1] < joints[POSETRACK.index("left_knee"), 1]


@pytest.mark.parametrize("kind", KINDS)
def test_bodies_keep_their_bones_and_stand_on_the_ground(kind):
    random = np.random.default_rng(1)
    looks, motion = random_looks(random), replace(random_motion(random), kind=kind)
    ankles = [POSETRACK.index(name) for name in ("left_ankle", "right_ankle")]
    bones = [
        limb
        for limb in POSETRACK.limbs
        if {"elbow", "knee"} & {POSETRACK.joints[j].split("_")[1] for j in limb if j > 2}
    ]
    assert len(bones) == 8
    bodies = [pose_body(looks, angles_at(motion, time)).joints for time in np.linspace(0, 3, 40)]
    lengths = np.array([[np.linalg.norm(body[a] - body[b]) for a, b in bones] for body in bodies])
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), rtol=0.03)
    assert all(body[ankles, 1].min() > 0.03 for body in bodies)
    assert min(body[ankles, 1].min() for body in bodies) < 0.06  # and comes down again
