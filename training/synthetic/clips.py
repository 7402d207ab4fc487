# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Whole clips with their truth: people on their ways through a scene before a camera that stands, turns or drives.

Truth of every frame: PoseTrack's 15 joints in pixels and in metres, visibility from the depth buffer, boxes of persons
and heads, how far each joint moves during the exposure, and the depth of every pixel with the camera's intrinsics.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from training.synthetic.actor import Actor, make_actor
from training.synthetic.assets import Assets
from training.synthetic.camera import Camera, View, draw_height
from training.synthetic.exposure import Moment, expose, joint_visibility
from training.synthetic.mesh import Mesh
from training.synthetic.motion import Motion, draw_motion, draw_walk
from training.synthetic.person import Person
from training.synthetic.props import KINDS as PROPS
from training.synthetic.props import draw_prop, draw_seat
from training.synthetic.rasteriser import bounds
from training.synthetic.scene import Drawing, Scene
from training.synthetic.sensor import draw_sensor, exposed, metered

DIFFICULTIES = ("clear", "occluded", "blurred", "crossing", "small", "moving")
FARTHEST = 15.0  # metres: what a depth camera sees of the ground
_APART = 0.55  # metres between two people's pelvises
_ROOM = {"vehicle": 2.4, "wall": 1.3, "table": 1.1, "bar": 1.6}  # metres that people keep off a thing's middle
_TRIES = 20


@dataclass(frozen=True)
class ClipSettings:
    """A clip's length, picture and what is hard about it (DIFFICULTIES)."""

    frames: int = 100
    rate: float = 20.0  # frames a second
    size: tuple[int, int] = (640, 480)
    people: tuple[int, int] = (4, 6)
    difficulty: str = "clear"
    supersample: int = 2


@dataclass(frozen=True)
class FrameTruth:
    """One frame's people, P of them in the order of their track ids 0 to P - 1.

    joints (P, 15, 2) pixels; visibility (P, 15) uint8: 0 outside, 1 occluded, 2 visible; blur (P, 15) pixels
    moved during the exposure; boxes and head_boxes (P, 4) x, y, w, h of the whole person and head; joints_camera
    (P, 15, 3) metres in the camera frame (x right, y down, z forward); pixels (P,) how many show each person.
    """

    joints: np.ndarray
    visibility: np.ndarray
    blur: np.ndarray
    boxes: np.ndarray
    head_boxes: np.ndarray
    joints_camera: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True)
class ClipFrame:
    """A frame: image (H, W, 3) uint8 RGB, depth (H, W) float32 metres along the optical axis (0: unknown), truth."""

    image: np.ndarray
    depth: np.ndarray
    truth: FrameTruth


@dataclass
class Clip:
    """A planned clip; `frames()` renders it, one by one."""

    settings: ClipSettings
    scene: Scene
    camera: Camera
    moments: list[Moment]
    times: np.ndarray  # (F,) seconds
    exposure: float  # seconds
    seed: list[int]

    @property
    def intrinsics(self) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy in pixels."""
        view = self.camera.view(0.0)
        return view.focal, view.focal, view.cx, view.cy

    def frames(self) -> Iterator[ClipFrame]:
        """Every frame in turn."""
        random = np.random.default_rng([*self.seed, 1])
        sensor = draw_sensor(random)
        gain: float | None = None
        before: np.ndarray | None = None
        for number, moment in enumerate(self.moments):
            half = self.exposure / 2 if moment.smeared and self.camera.moves else 0.0
            views = [self.camera.view(self.times[number])] * 3
            if half:
                views = [self.camera.view(self.times[number] + step) for step in (-half, 0.0, half)]
            light, drawing, factor = expose(self.scene, moment, views, self.settings.supersample)
            gain = metered(sensor, light) if gain is None else 0.95 * gain + 0.05 * metered(sensor, light)
            truth = self._truth(moment, views[1], drawing, factor, before)
            before = truth.joints
            yield ClipFrame(exposed(random, sensor, light, gain), _depth(drawing, views[1], factor), truth)
            self.scene.forget()

    def _truth(
        self, moment: Moment, view: View, drawing: Drawing, factor: int, before: np.ndarray | None
    ) -> FrameTruth:
        """Read off the scene; blur is the way since the frame before, scaled to the exposure."""
        people = self.scene.actors
        joints, place = np.zeros((len(people), 15, 2)), np.zeros((len(people), 15, 3))
        boxes, heads = np.zeros((len(people), 4)), np.zeros((len(people), 4))
        visibility = np.zeros((len(people), 15), np.uint8)
        pixels = np.bincount(drawing.owner[drawing.owner >= 0].reshape(-1), minlength=len(people))[: len(people)]
        for number, actor in enumerate(people):
            shape = self.scene.vertices(number, moment.middle)
            world = actor.joints(moment.middle, shape)
            joints[number], place[number] = view.to_pixels(world), view.to_camera(world)
            boxes[number] = _box(view, shape)
            heads[number] = _box(view, shape[_head(actor.person)])
            visibility[number] = joint_visibility(drawing, number, joints[number], place[number, :, 2], factor)
        moved = np.zeros(joints.shape[:2])
        if before is not None:
            moved = np.linalg.norm(joints - before, axis=-1) * self.exposure * self.settings.rate
        return FrameTruth(joints, visibility, moved, boxes, heads, place, pixels // factor**2)


def _head(person: Person) -> np.ndarray:
    """Vertices of the head: what its bone moves most, hats and hair left out as far as they are not skin."""
    bone = person.rig.names.index("head")
    share = (person.weights * (person.weight_bones == bone)).sum(axis=1)
    skin = np.zeros(len(share), bool)
    of_skin = person.mesh.faces[person.mesh.face_material == 0]
    skin[of_skin.reshape(-1)] = True
    return np.flatnonzero((share > 0.5) & skin)


def _box(view: View, shape: np.ndarray) -> np.ndarray:
    """x, y, w, h of what is before the camera; zeros where nothing is."""
    ahead = shape[view.to_camera(shape)[:, 2] > 0.1]
    if not len(ahead):
        return np.zeros(4)
    low, high = bounds(view.to_pixels(ahead))
    return np.array([*low, *(high - low)])


def _depth(drawing: Drawing, view: View, factor: int) -> np.ndarray:
    """Metres along the optical axis: of people and things, else of the ground where it is near enough."""
    inverse = drawing.inverse_depth[factor // 2 :: factor, factor // 2 :: factor]
    x = (np.arange(view.width) - view.cx) / view.focal
    y = (np.arange(view.height) - view.cy) / view.focal
    r = view.rotation
    fall = r[0, 2] * x[None, :] + r[1, 2] * y[:, None] + r[2, 2]
    ground = np.where(fall < -1e-4, float(view.eye[2]) / np.maximum(-fall, 1e-4), 0.0)
    ground[ground > FARTHEST] = 0.0
    return np.where(inverse > 0, 1 / np.maximum(inverse, 1e-6), ground).astype(np.float32)


def plan_clip(assets: Assets, settings: ClipSettings, seed: list[int]) -> Clip:
    """Draw a clip's people, ways, things, light and camera; everything follows from `seed`."""
    random = np.random.default_rng([*seed, 0])
    hard = settings.difficulty
    times = np.arange(settings.frames) / settings.rate
    long = hard == "blurred" or (hard == "moving" and random.random() < 0.4)
    exposure = random.uniform(0.025, min(0.05, 1 / settings.rate)) if long else random.uniform(0.002, 0.006)
    steps = np.array([-0.5, 0, 0.5]) * exposure if long else np.zeros(1)
    instants = (times[:, None] + steps).reshape(-1)
    per = len(steps)
    moments = [Moment(t * per, t * per + per // 2, t * per + per - 1) for t in range(settings.frames)]
    camera = _camera(random, settings)
    actors = _cast(random, assets, settings, camera, instants)
    props = _things(random, assets, settings, camera, actors, float(times[-1]))
    light, backdrop, gain = assets.surroundings(random, camera.view(0.0))
    scene = Scene(actors, props, light, backdrop, gain, assets.textures, random.uniform(0.3, 1.2))
    return Clip(settings, scene, camera, moments, times, exposure, seed)


def _camera(random: np.random.Generator, settings: ClipSettings) -> Camera:
    """At the origin, looking along +x; it drives, turns and shakes where that is the difficulty."""
    height = min(draw_height(random), 2.5)
    width = settings.size[0]
    focal = width / 2 / np.tan(np.radians(random.uniform(58, 82)) / 2)
    tilt = np.arctan2(height - 0.9, 6.0) + random.normal(0, 0.03)
    velocity, yaw_rate, shake = np.zeros(3), 0.0, 0.0
    if settings.difficulty == "moving":
        velocity = np.array([random.uniform(-0.2, 0.6), random.normal(0, 0.25), 0])
        yaw_rate, shake = random.normal(0, 0.08), random.uniform(0.001, 0.004)
    return Camera(
        np.array([0, 0, height]), 0.0, tilt, random.normal(0, 0.02), velocity, yaw_rate, shake,
        random.uniform(0, 2 * np.pi, (2, 3)), focal, settings.size,
    )  # fmt: skip


def _cast(
    random: np.random.Generator, assets: Assets, settings: ClipSettings, camera: Camera, instants: np.ndarray
) -> list[Actor]:
    """People who are in the picture at some time, and never in each other."""
    wanted = int(random.integers(settings.people[0], settings.people[1] + 1))
    actors: list[Actor] = []
    pair: tuple[int, np.ndarray] | None = None  # when and where somebody is to be passed
    for number in range(wanted):
        person = assets.person(random)
        for _ in range(_TRIES):
            moving = random.random() < 0.8 or settings.difficulty == "crossing"
            motion = (
                draw_walk(random, assets.motions, instants)
                if moving
                else draw_motion(random, assets.motions, instants, person.rig.align, 0.0)
            )
            key, place = _meeting(random, settings, camera, instants, pair if number % 2 else None)
            heading = _heading(random, motion, camera, float(instants[key]))
            actor = make_actor(person, motion, place, heading, key)
            if _free(actor, actors, camera, instants):
                actors.append(actor)
                pair = key, place
                break
    return actors


def _meeting(
    random: np.random.Generator, settings: ClipSettings, camera: Camera, instants: np.ndarray,
    pair: tuple[int, np.ndarray] | None,
) -> tuple[int, np.ndarray]:  # fmt: skip
    """An instant and a place (2,) in the picture then; behind that of `pair`, on the same ray, where people cross."""
    if pair is not None and settings.difficulty in ("crossing", "occluded"):
        key, before = pair
        eye = camera.eye[:2] + camera.velocity[:2] * instants[key]
        ray = before - eye
        return key, before + ray / np.linalg.norm(ray) * random.uniform(0.65, 1.6)
    key = int(len(instants) * random.uniform(0.12, 0.88))
    near, far = (8.0, 16.0) if settings.difficulty == "small" else (2.6, 7.5)
    ahead = random.uniform(near, far)
    half = settings.size[0] / 2 / camera.focal * ahead
    yaw = camera.yaw + camera.yaw_rate * instants[key]
    aside = random.uniform(-0.8, 0.8) * half
    forward, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    return key, camera.eye[:2] + camera.velocity[:2] * instants[key] + forward * ahead + left * aside


def _heading(random: np.random.Generator, motion: Motion, camera: Camera, time: float) -> float:
    """Walkers mostly cross the picture; the others face anywhere, more often the camera."""
    yaw = camera.yaw + camera.yaw_rate * time
    if motion.walks:
        return yaw + random.choice([0.0, np.pi]) + random.normal(0, 0.6)  # a front of -y, turned: left or right
    return yaw - np.pi / 2 + random.normal(0, 1.2)


def _pelvis(actor: Actor) -> np.ndarray:
    """Its way on the ground, (S, 2)."""
    return (actor.rotation[:, 0] @ actor.person.rig.heads[0] + actor.translation[:, 0])[:, :2]


def _free(actor: Actor, others: list[Actor], camera: Camera, instants: np.ndarray) -> bool:
    """Whether somebody keeps clear of all others and of the camera, at all times."""
    way = _pelvis(actor)
    eye = camera.eye[:2] + instants[:, None] * camera.velocity[:2]
    if np.linalg.norm(way - eye, axis=1).min() < 1.2:
        return False
    return all(np.linalg.norm(way - _pelvis(other), axis=1).min() > _APART for other in others)


def _things(
    random: np.random.Generator, assets: Assets, settings: ClipSettings, camera: Camera, actors: list[Actor],
    duration: float,
) -> list[Mesh]:  # fmt: skip
    """Seats for those who sit, things behind, things in front where hiding is the difficulty; none in a way."""
    props: list[Mesh] = []
    ways = np.concatenate([_pelvis(actor)[::3] for actor in actors]) if actors else np.zeros((0, 2))
    for actor in actors:
        if actor.motion.seated:
            middle = len(actor.rotation) // 2
            joints = actor.joints(middle, actor.vertices(middle))
            forward = actor.rotation[middle, 0] @ np.array([0, -1.0, 0])
            turn = np.arctan2(forward[0], -forward[1])
            props.append(draw_seat(random, assets.textures, (joints[9] + joints[10]) / 2, turn))
    drive = camera.eye[:2] + np.linspace(0, duration, 8)[:, None] * camera.velocity[:2]
    before = int(random.integers(2, 5)) if settings.difficulty == "occluded" else int(random.random() < 0.25)
    for number in range(before + int(random.integers(2, 6))):
        for _ in range(_TRIES):
            kind = str(random.choice(PROPS))
            ahead = random.uniform(1.6, 4.0) if number < before else random.uniform(5, 13)
            place = camera.eye[:2] + np.array([ahead, random.uniform(-0.8, 0.8) * ahead])
            room = _ROOM.get(kind, 0.75)
            clear = not len(ways) or np.linalg.norm(ways - place, axis=1).min() > room
            if clear and np.linalg.norm(drive - place, axis=1).min() > room + 0.4:
                props.append(draw_prop(random, assets.textures, place, kind))
                break
    return props
