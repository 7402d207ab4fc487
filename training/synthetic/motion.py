# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How somebody moves for a while: captured walks, gaits, gestures and poses, mixed, with heads that look about.

A motion is body-independent poses (rig.SEGMENTS) at given times; where it takes the body follows from the feet
(scene.Actor keeps the standing foot where it is), so that nothing slides, and a captured cycle goes on without a seam.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist

from training.synthetic import rotations
from training.synthetic.capture import RATE, makehuman_pose, read_motion
from training.synthetic.figure import ANGLE, ANGLES, pose_of_angles
from training.synthetic.gait import draw_gait, gait_angles
from training.synthetic.gestures import draw_gesture, gesture_angles
from training.synthetic.rig import INDEX

_ARMS = [INDEX[f"{part}_{side}"] for part in ("upper_arm", "forearm", "hand") for side in "lr"]
_SEAM = 8  # frames of a captured cycle's end that are blended into its beginning


@dataclass(frozen=True)
class MotionLibrary:
    """Files that motions are drawn from; both may be empty."""

    captures: tuple[Path, ...] = ()  # BVH, any skeleton with the usual names
    poses: tuple[Path, ...] = ()  # MakeHuman's own


@dataclass
class Motion:
    """Poses (T, 15, 3, 3) and what they show; `seated` bodies want something to sit on."""

    pose: np.ndarray
    name: str
    seated: bool = False
    walks: bool = field(default=False)


def draw_motion(
    random: np.random.Generator, library: MotionLibrary, times: np.ndarray, align: np.ndarray,
    walking: float = 0.5, posed: float = 0.25,
) -> Motion:  # fmt: skip
    """A motion at `times` (T,) seconds: a share `walking` walks, a share `posed` of the others holds a library's pose.

    align: the rig's, for MakeHuman's poses.
    """
    if random.random() < walking:
        motion = draw_walk(random, library, times)
    elif library.poses and random.random() < posed:
        motion = _held_pose(random, library, times, align)
    else:
        angles, name = gesture_angles(random, times)
        motion = Motion(pose_of_angles(angles), name, seated=name.startswith("sit"))
    motion.pose = _restless(random, motion.pose, times)
    return motion


def draw_walk(random: np.random.Generator, library: MotionLibrary, times: np.ndarray) -> Motion:
    """Somebody who walks or runs, half of them with something else to do for the arms."""
    if library.captures and random.random() < 0.8:
        path = library.captures[int(random.integers(len(library.captures)))]
        pose, name = captured(path, times * random.uniform(0.85, 1.15), random.uniform(0, 10)), path.stem
    else:
        pose, name = pose_of_angles(gait_angles(draw_gait(random), times, random.uniform(0, 2 * np.pi))), "gait"
    if random.random() < 0.45:
        angles, gesture = draw_gesture(random, legs="stand")
        pose = _with_arms(random, pose, pose_of_angles(angles[None])[0], times)
        name += f"+{gesture.split('+')[1]}"
    turn = random.uniform(-0.5, 0.5) * (times - times[0]) if random.random() < 0.4 else np.zeros(len(times))
    return Motion(rotations.about("z", turn)[:, None] @ pose, name, walks=True)


def captured(path: Path, times: np.ndarray, start: float = 0.0) -> np.ndarray:
    """A capture's poses (T, 15, 3, 3) at `times` + `start` seconds; past its end its most seamless cycle goes on."""
    poses = read_motion(path)
    first, end = _cycle(path)
    place = (times - times[0] + start) * RATE
    place = np.where(place < end - 1, place, first + np.mod(place - first, end - 1 - first))
    low = np.clip(place.astype(int), 0, len(poses) - 2)
    flat = rotations.between(
        poses[low].reshape(-1, 3, 3), poses[low + 1].reshape(-1, 3, 3), np.repeat(place - low, poses.shape[1])
    )
    # The last frames before the cycle's end slide into those before its beginning.
    late = np.clip((place - (end - 1 - _SEAM)) / _SEAM, 0, 1) * (place < end - 1)
    before = np.clip((place - (end - 1 - first)).astype(int), 0, len(poses) - 1)
    mixed = rotations.between(flat, poses[before].reshape(-1, 3, 3), np.repeat(late, poses.shape[1]))
    return mixed.reshape(len(times), -1, 3, 3)


@lru_cache(maxsize=256)
def _cycle(path: Path) -> tuple[int, int]:
    """First frame and end of the stretch, at least a second long, whose ends resemble each other most."""
    poses = read_motion(path)
    if len(poses) < 2 * _SEAM + RATE:
        return 0, len(poses)
    flat = poses.reshape(len(poses), -1)
    speed = np.gradient(flat, axis=0)
    distance = cdist(flat, flat) + 4 * cdist(speed, speed)
    frames = np.arange(len(poses))
    allowed = (frames[None] - frames[:, None] >= RATE) & (frames[:, None] >= _SEAM)
    first, last = np.unravel_index(np.argmin(np.where(allowed, distance, np.inf)), distance.shape)
    return int(first), int(last) + 1


def _with_arms(random: np.random.Generator, pose: np.ndarray, other: np.ndarray, times: np.ndarray) -> np.ndarray:
    """`pose` with the arms of the one pose `other`, against the chest, from some time on or all the time."""
    weight = np.full(len(times), random.uniform(0.7, 1.0))
    if random.random() < 0.3:
        begin = random.uniform(times[0] - 0.5, times[-1])
        weight *= np.clip((times - begin) / random.uniform(0.3, 0.9), 0, 1)
    chest = INDEX["chest"]
    pose = pose.copy()
    for arm in _ARMS:
        held = pose[:, chest] @ other[chest].T @ other[arm]
        pose[:, arm] = rotations.between(pose[:, arm], held, weight)
    return pose


def _held_pose(
    random: np.random.Generator, library: MotionLibrary, times: np.ndarray, align: np.ndarray
) -> Motion:  # fmt: skip
    """One of MakeHuman's poses, or somewhere between two of them, or on the way from one to the other.

    The poses are few: half are mirrored, and all limbs are turned by some degrees.
    """
    paths = [library.poses[int(i)] for i in random.integers(len(library.poses), size=2)]
    start, end = (_varied(random, makehuman_pose(path, align)) for path in paths)
    kind = random.random()
    if kind < 0.35:
        start = end
    begin = random.uniform(times[0] - 0.5, times[-1])
    share = np.clip((times - begin) / random.uniform(0.5, 1.2), 0, 1)
    share = share * share * (3 - 2 * share)
    if kind > 0.7:
        share = random.uniform(0.15, 0.85) + 0.15 * share
    turned = rotations.between(
        np.tile(start, (len(times), 1, 1)), np.tile(end, (len(times), 1, 1)), np.repeat(share, len(start))
    )
    return Motion(turned.reshape(len(times), -1, 3, 3), paths[1].stem)


def _varied(random: np.random.Generator, pose: np.ndarray) -> np.ndarray:
    """A pose (15, 3, 3), mirrored or not, its limbs turned by about 8 degrees, hands and feet with them."""
    if random.random() < 0.5:
        pose = mirrored(pose)
    pose = pose.copy()
    for side in "lr":
        for parts in (("thigh", "shin", "foot"), ("upper_arm", "forearm", "hand"), ("forearm", "hand")):
            limb = [INDEX[f"{part}_{side}"] for part in parts]
            pose[limb] = rotations.about_vector(random.normal(0, 0.14, (1, 3))) @ pose[limb]
    return pose


def mirrored(pose: np.ndarray) -> np.ndarray:
    """A pose (15, 3, 3) with left and right exchanged."""
    other = [INDEX[name[:-2] + {"_l": "_r", "_r": "_l"}.get(name[-2:], name[-2:])] for name in INDEX]
    across = np.diag([-1.0, 1.0, 1.0])
    return across @ pose[other] @ across


def _restless(random: np.random.Generator, pose: np.ndarray, times: np.ndarray) -> np.ndarray:
    """A little of everybody's own: the head looks about, the trunk and limbs sway by some degrees."""
    angles = np.zeros((len(times), len(ANGLES)))
    for name in ("head_turn", "head_nod", "spine_turn", "spine_bend"):
        size = {"head_turn": 18.0, "head_nod": 6.0}.get(name, 2.0) * random.uniform(0, 1)
        rate, phase = random.uniform(0.1, 0.6), random.uniform(0, 2 * np.pi)
        angles[:, ANGLE[name]] = size * np.sin(2 * np.pi * rate * times + phase) + random.normal(0, size / 2)
    sway = pose_of_angles(angles)
    pose = pose.copy()
    for segment in ("head", "chest"):
        pose[:, INDEX[segment]] = pose[:, INDEX[segment]] @ sway[:, INDEX[segment]]
    own = rotations.about_vector(random.normal(0, 0.05, (len(_ARMS), 3)))
    pose[:, _ARMS] = pose[:, _ARMS] @ own
    return pose
