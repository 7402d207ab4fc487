# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Scenes: people who walk, cross and hide behind each other and behind things, seen by a camera that pans a little.

`render_clip` is deterministic: the same config and seed give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from training.data.figures.background import random_background
from training.data.figures.body import Body, Colour, Looks, body_from_points, pose_body, random_colour, random_looks
from training.data.figures.motion import Motion, angles_at, random_motion
from training.data.figures.render import Image, draw_person, draw_silhouette

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

MARGIN = 48  # pixels of background beyond the image, for the camera's pan
BLUR_FROM = 2.5  # pixels: below that motion in an exposure is not rendered as blur
THING = 255  # label of things in the id mask


@dataclass(frozen=True)
class SceneConfig:
    """Sizes in pixels; `people` and `things` are inclusive ranges; `height` a person's, `exposure` in seconds."""

    width: int = 640
    height: int = 480
    frames: int = 24
    fps: float = 25.0
    people: tuple[int, int] = (2, 6)
    things: tuple[int, int] = (0, 3)
    person_height: tuple[float, float] = (60.0, 430.0)
    exposure: tuple[float, float] = (0.0, 0.06)
    crossing: float = 0.6  # how often two people are made to meet


@dataclass(frozen=True)
class FrameTruth:
    """One frame and its P people; see Clip for the meaning of each field, here without the T axis."""

    image: Image
    keypoints: FloatArray
    visible: BoolArray
    blurred: FloatArray
    boxes: FloatArray
    head_boxes: FloatArray
    present: BoolArray


@dataclass(frozen=True)
class Clip:
    """T frames of P people; coordinates are image pixels.

    frames: T images H x W x 3 uint8 BGR. keypoints T x P x 15 x 2, exact also where occluded or outside. visible T x P
    x 15: inside the image and covered by no other person or thing (one's own body does not count). blurred T x P x 15:
    pixels that the joint moves in the exposure. boxes T x P x 4 xywh: the whole body, occluded parts too, not clipped.
    head_boxes T x P x 4. present T x P: the box meets the image. track_ids P int64.
    """

    frames: list[Image]
    keypoints: FloatArray
    visible: BoolArray
    blurred: FloatArray
    boxes: FloatArray
    head_boxes: FloatArray
    present: BoolArray
    track_ids: npt.NDArray[np.int64]
    fps: float


@dataclass
class _Actor:
    looks: Looks
    motion: Motion
    height: float  # pixels
    yaw: float  # 0 faces the camera, pi / 2 walks to the image's right
    turning: float  # radians a second
    x: float  # feet at time 0, pixels
    foot: float
    depth: float  # who is drawn later stands in front

    def project(self, time: float) -> tuple[Body, float]:
        """The body in the image (x, y pixels, depth in body heights) and its height in pixels."""
        body = pose_body(self.looks, angles_at(self.motion, time)).points()
        yaw = self.yaw + self.turning * time
        pixels = self.motion.speed * self.height * time
        towards = 0.1 * pixels * np.cos(self.yaw)
        height = self.height + 0.25 * towards
        right = body[:, 0] * np.sin(yaw) + body[:, 2] * np.cos(yaw)
        near = body[:, 0] * np.cos(yaw) - body[:, 2] * np.sin(yaw)
        x = self.x + pixels * np.sin(self.yaw) + right * height
        y = self.foot + 0.5 * towards - body[:, 1] * height + 0.1 * near * height  # seen from a little above
        return body_from_points(np.stack([x, y, near], axis=1)), height


@dataclass(frozen=True)
class _Thing:
    box: tuple[float, float, float, float]  # x0, y0, x1, y1
    fill: tuple[float, ...]
    edge: tuple[float, ...]
    depth: float


@dataclass(frozen=True)
class _Scene:
    background: Image
    actors: list[_Actor]
    things: list[_Thing]
    light: Colour
    pan: npt.NDArray[np.float64]  # pixels a second
    exposure: float
    noise: npt.NDArray[np.int16]
    blur: float  # sigma of a soft lens, 0 for a sharp one


def render_clip(config: SceneConfig, seed: int) -> Clip:
    """Render a whole clip; for very long ones `iterate_clip` needs the memory of one frame only."""
    truths = list(iterate_clip(config, seed))
    stacked = {
        name: np.stack([getattr(truth, name) for truth in truths])
        for name in ("keypoints", "visible", "blurred", "boxes", "head_boxes", "present")
    }
    people = truths[0].keypoints.shape[0]
    return Clip([truth.image for truth in truths], **stacked, track_ids=np.arange(1, people + 1), fps=config.fps)


def iterate_clip(config: SceneConfig, seed: int) -> Iterator[FrameTruth]:
    """Render frame by frame."""
    random = np.random.default_rng(seed)
    scene = _random_scene(random, config)
    for number in range(config.frames):
        yield _render_frame(scene, config, number)


def _random_scene(random: np.random.Generator, config: SceneConfig) -> _Scene:
    duration = config.frames / config.fps
    count = int(random.integers(config.people[0], config.people[1] + 1))
    actors = [_random_actor(random, config, min(duration, 3.0)) for _ in range(count)]
    if count >= 2 and random.random() < config.crossing:
        _make_meet(random, actors[0], actors[1], duration / 2)
    light = np.clip(random.normal(1, 0.15), 0.6, 1.3) * random.normal(1, 0.04, 3)
    things = [
        _random_thing(random, config) for _ in range(int(random.integers(config.things[0], config.things[1] + 1)))
    ]
    sigma = random.uniform(0, 7)
    noise = random.normal(0, 1, (config.height, config.width, 3)) * sigma
    moves = random.random() < 0.5
    return _Scene(
        background=random_background(random, config.height + 2 * MARGIN, config.width + 2 * MARGIN),
        actors=actors,
        things=things,
        light=light,
        pan=random.normal(0, 25, 2) * moves,
        exposure=random.uniform(*config.exposure) if random.random() < 0.7 else 0.0,
        noise=noise.astype(np.int16),
        blur=random.uniform(0.4, 1.2) if random.random() < 0.3 else 0.0,
    )


def _random_actor(random: np.random.Generator, config: SceneConfig, duration: float) -> _Actor:
    motion, looks = random_motion(random), random_looks(random)
    height = float(np.exp(random.uniform(*np.log(config.person_height))))
    yaw = random.uniform(0, 2 * np.pi)
    if motion.kind in ("walk", "run") and random.random() < 0.7:  # mostly across the image
        yaw = float(np.pi / 2 * random.choice([-1, 1]) + random.normal(0, 0.5))
    travel = motion.speed * height * np.sin(yaw) * duration
    foot = config.height * (random.uniform(0.55, 1.05) if height < 0.5 * config.height else random.uniform(0.85, 1.2))
    return _Actor(
        looks=looks,
        motion=motion,
        height=height,
        yaw=yaw,
        turning=random.normal(0, 0.6) if random.random() < 0.4 else 0.0,
        x=random.uniform(0.1, 0.9) * config.width - travel * random.uniform(0.2, 0.8),
        foot=max(foot, 0.9 * height),
        depth=foot + random.normal(0, 15),
    )


def _make_meet(random: np.random.Generator, one: _Actor, other: _Actor, time: float) -> None:
    """Let two people of like size pass each other at `time`, one in front of the other."""
    other.height = one.height * random.uniform(0.85, 1.15)
    other.foot = one.foot + random.normal(0, 8)
    other.depth = one.depth + random.normal(0, 10)
    ways = [a.motion.speed * a.height * np.sin(a.yaw) * time for a in (one, other)]
    other.x = one.x + ways[0] - ways[1] + random.normal(0, 0.15) * one.height


def _random_thing(random: np.random.Generator, config: SceneConfig) -> _Thing:
    """A pole, a wall or a box that stands somewhere among the people."""
    x, wide = random.uniform(0, config.width), float(np.exp(random.uniform(1.5, 4.5)))
    depth = random.uniform(0.6, 1.2) * config.height
    if random.random() < 0.5:
        top, bottom = random.uniform(-0.1, 0.7) * config.height, 1.1 * config.height
    else:
        top = random.uniform(0.4, 0.9) * config.height
        bottom = top + wide * random.uniform(0.5, 2)
    fill, edge = (tuple(random_colour(random).tolist()) for _ in range(2))
    return _Thing((x, top, x + wide, bottom), fill, edge, depth)


def _render_frame(scene: _Scene, config: SceneConfig, number: int) -> FrameTruth:
    time, size = number / config.fps, (config.width, config.height)
    bodies = [actor.project(time) for actor in scene.actors]
    ends = [
        [actor.project(time + sign * scene.exposure / 2)[0].joints[:, :2] for actor in scene.actors] for sign in (-1, 1)
    ]
    moved = np.linalg.norm(np.array(ends[1]) - np.array(ends[0]), axis=-1)
    steps = 1 if moved.max(initial=0.0) < BLUR_FROM else 3 if moved.max() < 10 else 5
    if steps == 1:
        image = _compose(scene, config, time, bodies)
    else:
        total = np.zeros((config.height, config.width, 3), np.float32)
        for share in np.linspace(-0.5, 0.5, steps):
            cv2.accumulate(_compose(scene, config, time + share * scene.exposure, None), total)
        image = (total / steps).astype(np.uint8)
    joints = np.array([body.joints[:, :2] for body, _ in bodies])
    boxes, head_boxes = _boxes(bodies)
    return FrameTruth(
        image=_sensor(scene, image, number),
        keypoints=joints.astype(np.float32),
        visible=_visible(scene, config, time, bodies, joints),
        blurred=moved.astype(np.float32),
        boxes=boxes,
        head_boxes=head_boxes,
        present=np.all((boxes[:, :2] < size) & (boxes[:, :2] + boxes[:, 2:] > 0), axis=1),
    )


def _drawing_order(scene: _Scene) -> list[tuple[float, int, int]]:
    """(depth, 0 actor or 1 thing, index), the farthest first."""
    order = [(actor.depth, 0, i) for i, actor in enumerate(scene.actors)]
    return sorted(order + [(thing.depth, 1, i) for i, thing in enumerate(scene.things)])


def _compose(scene: _Scene, config: SceneConfig, time: float, bodies: list[tuple[Body, float]] | None) -> Image:
    """The image at an instant, before the sensor."""
    shift = np.clip(np.round(scene.pan * time), -MARGIN, MARGIN).astype(int) + MARGIN
    image = scene.background[shift[1] : shift[1] + config.height, shift[0] : shift[0] + config.width].copy()
    for _, kind, i in _drawing_order(scene):
        if kind == 0:
            body, height = bodies[i] if bodies is not None else scene.actors[i].project(time)
            draw_person(image, scene.actors[i].looks, body, height, scene.light)
        else:
            thing = scene.things[i]
            corners = _corners(thing, scene, time)
            cv2.rectangle(image, *corners, thing.fill, -1)
            cv2.rectangle(image, *corners, thing.edge, 2)
    return image


def _corners(thing: _Thing, scene: _Scene, time: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """A thing's corners in the image: things and the background move as the camera pans."""
    dx, dy = np.clip(scene.pan * time, -MARGIN, MARGIN)
    x0, y0, x1, y1 = thing.box
    return (int(x0 - dx), int(y0 - dy)), (int(x1 - dx), int(y1 - dy))


def _visible(
    scene: _Scene, config: SceneConfig, time: float, bodies: list[tuple[Body, float]], joints: npt.NDArray[np.float64]
) -> BoolArray:
    """P x 15: who is on top at each joint's pixel; a joint counts as a part of its own silhouette (noses stick out)."""
    mask = np.zeros((config.height, config.width), np.uint8)
    pixel = np.round(joints).astype(int)
    inside = np.all((pixel >= 0) & (pixel < (config.width, config.height)), axis=-1)
    x, y = np.clip(pixel[..., 0], 0, config.width - 1), np.clip(pixel[..., 1], 0, config.height - 1)
    for _, kind, i in _drawing_order(scene):
        if kind == 0:
            draw_silhouette(mask, scene.actors[i].looks, *bodies[i], label=i + 1)
            mask[y[i, inside[i]], x[i, inside[i]]] = i + 1
        else:
            cv2.rectangle(mask, *_corners(scene.things[i], scene, time), THING, -1)
    return np.asarray(inside & (mask[y, x] == np.arange(1, len(bodies) + 1)[:, None]))


def _boxes(bodies: list[tuple[Body, float]]) -> tuple[FloatArray, FloatArray]:
    """Body boxes and head boxes, P x 4 each."""
    boxes, heads = np.zeros((len(bodies), 4), np.float32), np.zeros((len(bodies), 4), np.float32)
    for i, (body, height) in enumerate(bodies):
        points = body.points()[:, :2]
        low, high = points.min(axis=0) - 0.03 * height, points.max(axis=0) + 0.03 * height
        boxes[i] = *low, *(high - low)
        neck, top = body.joints[1], body.joints[2]
        tall = max(abs(neck[1] - top[1]), 0.08 * height)
        heads[i] = (neck[0] + top[0]) / 2 - 0.055 * height, min(neck[1], top[1]), 0.11 * height, tall
    return boxes, heads


def _sensor(scene: _Scene, image: Image, number: int) -> Image:
    """Lens blur and noise; the noise pattern is shifted from frame to frame."""
    if scene.blur:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), scene.blur), np.uint8)
    noise = np.roll(scene.noise, (number * 37, number * 61), axis=(0, 1))
    return cv2.add(image, noise, dtype=cv2.CV_8U)  # type: ignore[return-value]
