# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Training windows: 2 delta + 1 crops of one person, straight from the scene, in shards (training.synthetic.shards).

The keyframe is frame delta, and all frames are cropped by its box, with some room and a jitter. No corruption is added:
rectangles, darkness and the like are the training's to draw.

Every shard follows from (seed, its number) alone: its bytes are the same however many processes render, and after an
interruption. Seeds from BENCH_SEED on belong to the bench.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np

from training.synthetic.actor import Actor, make_actor
from training.synthetic.assets import Assets
from training.synthetic.camera import Camera, View, draw_camera
from training.synthetic.exposure import Moment, expose, joint_visibility
from training.synthetic.motion import draw_motion
from training.synthetic.person import Person
from training.synthetic.props import draw_prop, draw_seat
from training.synthetic.rasteriser import bounds
from training.synthetic.scene import Scene
from training.synthetic.sensor import draw_sensor, exposed, metered
from training.synthetic.shards import LONG_EXPOSURE, MOVING_CAMERA, NEIGHBOURS, OCCLUDER

PEOPLE = 12  # dressed for a shard
QUALITY = 95
BENCH_SEED = 2_000_000_000
_COARSER = (1.0, 0.75, 0.5, 0.375, 0.25)  # sizes at which a small person is rendered before it is enlarged


@dataclass(frozen=True)
class WindowSettings:
    """What windows show, as shares of them; `size` is the crop's (width, height)."""

    delta: int = 2
    size: tuple[int, int] = (192, 256)
    occluded: float = 0.35  # something in front
    crowded: float = 0.45  # others beside, behind and in front
    blurred: float = 0.25  # a long exposure
    moving: float = 0.4  # the camera
    walking: float = 0.5
    posed: float = 0.25  # of those who do not walk: MakeHuman's poses, sports among them
    furthest: float = 11.0  # metres from the camera; the nearest is 1.6


@dataclass(frozen=True)
class Window:
    """One window's frames (T, H, W, 3) uint8 RGB and truth, as the module's table has it."""

    frames: np.ndarray
    joints: np.ndarray
    visibility: np.ndarray
    blur: np.ndarray
    boxes: np.ndarray
    joints_camera: np.ndarray
    interval: float
    tags: int


@dataclass(frozen=True)
class _Crop:
    """A part of the camera's picture: crop pixel = (picture pixel - corner) * scale."""

    corner: np.ndarray  # (2,)
    scale: float
    coarse: float  # rendered at this share of the crop's size, then enlarged


def render_window(
    random: np.random.Generator, assets: Assets, people: list[Person], settings: WindowSettings
) -> Window:
    """A window of somebody of `people`, of whom at least four joints are visible in the keyframe."""
    while True:
        window = _try_window(random, assets, people, settings)
        if window is not None:
            return window


def _try_window(
    random: np.random.Generator, assets: Assets, people: list[Person], settings: WindowSettings
) -> Window | None:
    """A window as it is drawn, or None where the person is too small, outside the picture or all but occluded."""
    count, key = 2 * settings.delta + 1, settings.delta
    interval = 1 / float(random.choice([8, 10, 12, 15, 20, 25, 30, 30]))
    long = random.random() < settings.blurred
    exposure = min(interval, random.uniform(0.012, 0.05)) if long else random.uniform(0.001, 0.006)
    times = (np.arange(count) - key) * interval
    instants = (times[:, None] + (np.array([-0.5, 0, 0.5]) * exposure if long else np.zeros(1))).reshape(-1)
    per = 3 if long else 1
    moments = [Moment(t * per, t * per + per // 2, t * per + per - 1) for t in range(count)]
    person = people[int(random.integers(len(people)))]
    motion = draw_motion(random, assets.motions, instants, person.rig.align, settings.walking, settings.posed)
    middle = moments[key].middle
    hero = make_actor(person, motion, np.zeros(2), random.uniform(0, 2 * np.pi), middle)
    shape = hero.vertices(middle)
    centre = np.mean(bounds(shape), axis=0).astype(float)
    distance = float(np.exp(random.uniform(np.log(1.6), np.log(settings.furthest))))
    camera = draw_camera(random, centre, distance, settings.moving)
    crop = _crop_of(random, camera.view(0.0), shape, settings.size)
    if crop is None:
        return None
    actors, props, tags = _company(random, assets, people, settings, hero, camera, instants, middle)
    tags |= (LONG_EXPOSURE if long else 0) | (MOVING_CAMERA if camera.moves else 0)
    near = camera.view(0.0).crop(crop.corner[0], crop.corner[1], crop.scale, *settings.size)
    light, backdrop, gain = assets.surroundings(random, near)
    lens = random.uniform(0.5, 2.5) if random.random() < 0.6 else 0.0
    scene = Scene(actors, props, light, backdrop, gain, assets.textures, lens)
    return _take(random, scene, camera, crop, moments, times, exposure, settings, tags)


def _crop_of(random: np.random.Generator, view: View, shape: np.ndarray, size: tuple[int, int]) -> _Crop | None:
    """The keyframe's box as the pipeline would crop it (3:4, a quarter larger), with some jitter."""
    if (view.to_camera(shape)[:, 2] < 0.3).any():
        return None
    low, high = bounds(view.to_pixels(shape))
    limit = np.array([view.width, view.height]) - 1.0
    inner_low, inner_high = np.maximum(low, 0), np.minimum(high, limit)
    shown = np.prod(np.maximum(inner_high - inner_low, 0)) / np.prod(high - low)
    box = inner_high - inner_low
    if shown < 0.35 or box[1] < 28 or box[0] < 8:
        return None
    aspect = size[0] / size[1]
    width = max(box[0], box[1] * aspect) * 1.25 * np.clip(random.normal(1.0, 0.12), 0.8, 1.4)
    middle = (inner_low + inner_high) / 2 + random.normal(0, 0.03, 2) * box
    scale = (size[0] - 1) / width
    corner = middle - (np.array(size) - 1) / 2 / scale
    coarse = next((share for share in reversed(_COARSER) if share * 0.99 >= 1 / scale), 1.0)
    return _Crop(corner, scale, coarse)


def _company(
    random: np.random.Generator, assets: Assets, people: list[Person], settings: WindowSettings, hero: Actor,
    camera: Camera, instants: np.ndarray, middle: int,
) -> tuple[list[Actor], list, int]:  # fmt: skip
    """Others and things around the hero, who stands at the origin: all actors, all props, the tags that they earn."""
    actors, props, tags = [hero], [], 0
    toward = camera.eye[:2].copy()
    reach = float(np.linalg.norm(toward))
    toward = toward / reach if reach > 0.3 else np.array([1.0, 0.0])
    across = np.array([-toward[1], toward[0]])
    if hero.motion.seated and random.random() < 0.85:
        joints = hero.joints(middle, hero.vertices(middle))
        forward = hero.rotation[middle, 0] @ np.array([0, -1.0, 0])
        hips = (joints[9] + joints[10]) / 2
        props.append(draw_seat(random, assets.textures, hips, np.arctan2(forward[0], -forward[1])))
    if random.random() < settings.crowded:
        tags |= NEIGHBOURS
        for _ in range(int(random.integers(1, 4))):
            ahead = random.uniform(0.4, max(0.5, reach - 1.0)) if random.random() < 0.45 else -random.uniform(0.4, 3.0)
            if ahead > reach - 0.9:
                continue
            spread = 0.35 if random.random() < 0.5 else 1.2
            place = toward * ahead + across * random.normal(0, spread) * (1 - max(0, ahead) / max(reach, 1.0))
            other = people[int(random.integers(len(people)))]
            motion = draw_motion(random, assets.motions, instants, other.rig.align, 0.7)
            actors.append(make_actor(other, motion, place, random.uniform(0, 2 * np.pi), middle))
    if random.random() < settings.occluded and reach > 1.2:
        tags |= OCCLUDER
        share = random.uniform(0.25, min(0.8, 1 - 0.4 / reach))
        place = toward * reach * (1 - share) + across * random.normal(0, 0.35) * share
        props.append(draw_prop(random, assets.textures, place))
    for _ in range(int(random.integers(0, 3))):
        place = -toward * random.uniform(0.6, 5) + across * random.normal(0, 1.5)
        props.append(draw_prop(random, assets.textures, place))
    return actors, props, tags


def _take(
    random: np.random.Generator, scene: Scene, camera: Camera, crop: _Crop, moments: list[Moment], times: np.ndarray,
    exposure: float, settings: WindowSettings, tags: int,
) -> Window | None:  # fmt: skip
    """Render the frames, and read the truth off the scene."""
    order = [settings.delta, *(t for t in range(len(times)) if t != settings.delta)]  # the keyframe first: it decides
    count, (width, height) = len(times), settings.size
    frames = np.empty((count, height, width, 3), np.uint8)
    joints, visibility = np.empty((count, 15, 2), np.float32), np.empty((count, 15), np.uint8)
    boxes, place = np.empty((count, 4), np.float32), np.empty((count, 15, 3), np.float32)
    sensor = draw_sensor(random)
    gain = 1.0
    for t in order:
        half = exposure / 2 if moments[t].smeared and camera.moves else 0.0
        views = [camera.view(times[t])] * 3
        if half:
            views = [camera.view(times[t] + step) for step in (-half, 0.0, half)]
        fine = views[1].crop(crop.corner[0], crop.corner[1], crop.scale, width, height)
        shape = scene.vertices(0, moments[t].middle)
        world = scene.actors[0].joints(moments[t].middle, shape)
        joints[t], place[t] = fine.to_pixels(world), fine.to_camera(world)
        low, high = bounds(fine.to_pixels(shape))
        boxes[t] = [*low, *(high - low)]
        light, drawing, factor = expose(scene, moments[t], [_coarse(view, crop, settings.size) for view in views], 2)
        seen = (joints[t] + 0.5) * crop.coarse - 0.5
        visibility[t] = joint_visibility(drawing, 0, seen, place[t, :, 2], factor)
        low, high = _picture_in_crop(camera, crop)
        visibility[t, ((joints[t] < low) | (joints[t] > high)).any(axis=1)] = 0
        if t == settings.delta:
            if (visibility[t] == 2).sum() < 4:
                return None
            gain = metered(sensor, light)
        picture = exposed(random, sensor, light, gain)
        if crop.coarse < 1:
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        frames[t] = _outside_black(picture, low, high)
    speed = np.gradient(joints, axis=0) if count > 1 else np.zeros_like(joints)
    interval = float(times[1] - times[0]) if count > 1 else 1.0
    blur = np.linalg.norm(speed, axis=-1) * np.float32(exposure / interval)
    return Window(frames, joints, visibility, blur.astype(np.float32), boxes, place, interval, tags)


def _coarse(view: View, crop: _Crop, size: tuple[int, int]) -> View:
    """The crop's view at the size that it is rendered at."""
    q = crop.coarse
    width, height = round(size[0] * q), round(size[1] * q)
    return view.crop(crop.corner[0], crop.corner[1], crop.scale * q, width, height, 0.5 * q - 0.5)


def _picture_in_crop(camera: Camera, crop: _Crop) -> tuple[np.ndarray, np.ndarray]:
    """The camera's picture's corners in pixels of the crop."""
    return (np.array([-0.5, -0.5]) - crop.corner) * crop.scale, (np.array(camera.size) - 0.5 - crop.corner) * crop.scale


def _outside_black(picture: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Black where the crop reaches beyond the camera's picture, as the pipeline pads it."""
    left, top = np.clip(np.ceil(low), 0, None).astype(int)
    right, bottom = np.floor(high).astype(int) + 1
    if left > 0 or top > 0 or right < picture.shape[1] or bottom < picture.shape[0]:
        padded = np.zeros_like(picture)
        padded[top : max(bottom, 0), left : max(right, 0)] = picture[top : max(bottom, 0), left : max(right, 0)]
        return padded
    return picture


def render_shard(assets: Assets, settings: WindowSettings, seed: int, number: int, count: int) -> bytes:
    """The file of shard `number`: `count` windows (at most SHARD)."""
    dressing = np.random.default_rng([seed, number, 0])
    people = [assets.person(dressing) for _ in range(PEOPLE)]
    windows = [
        render_window(np.random.default_rng([seed, number, 1, n]), assets, people, settings) for n in range(count)
    ]
    coded = [_encode(frame) for window in windows for frame in window.frames]
    arrays = {
        "jpeg": np.concatenate(coded),
        "offsets": np.cumsum([0, *(len(code) for code in coded)]).astype(np.int64),
        "interval": np.array([window.interval for window in windows], np.float32),
        "tags": np.array([window.tags for window in windows], np.uint8),
    }
    for name in ("joints", "visibility", "blur", "boxes", "joints_camera"):
        arrays[name] = np.stack([getattr(window, name) for window in windows])
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def _encode(frame: np.ndarray) -> np.ndarray:
    code = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return code.reshape(-1)
