# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""BVH files (motion capture, poses): the skeleton, and every frame's world rotations and joint positions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sdtc_ros.errors import InputError
from training.synthetic import rotations


@dataclass
class Bvh:
    """A motion in the file's own frame and units (T frames, J joints)."""

    names: list[str]
    parents: list[int]  # -1 for the root
    offsets: np.ndarray  # (J, 3) from the parent
    rotations: np.ndarray  # (T, J, 3, 3), world
    positions: np.ndarray  # (T, J, 3), world
    frame_time: float  # seconds


def read_bvh(path: Path, rate: float | None = None) -> Bvh:
    """All frames, or about `rate` a second of them; raises InputError for a file that is no BVH or is cut short."""
    try:
        head, _, tail = path.read_text(errors="replace").partition("MOTION")
        names, parents, offsets, channels = _hierarchy(head)
        _, times, *lines = tail.strip().split("\n")
        frame_time = float(times.split()[-1])
        width = sum(len(c) for c in channels)
        stride = max(1, round(1 / rate / frame_time)) if rate else 1
        if lines and len(lines[0].split()) == len(lines[-1].split()) == width:  # a frame a line: others are not read
            values = np.array(" ".join(lines[::stride]).split(), float).reshape(-1, width)
        else:
            values = np.array(" ".join(lines).split(), float).reshape(-1, width)[::stride]
    except (OSError, ValueError, IndexError, ZeroDivisionError) as error:
        raise InputError(f"{path} is not a readable BVH file: {error}") from error
    if not names or not len(values):
        raise InputError(f"{path} is not a BVH file with a skeleton and at least one frame")
    return _pose_all(names, parents, np.array(offsets), channels, values, frame_time * stride)


def _hierarchy(text: str) -> tuple[list[str], list[int], list[list[float]], list[list[str]]]:
    names: list[str] = []
    parents: list[int] = []
    offsets: list[list[float]] = []
    channels: list[list[str]] = []
    stack: list[int] = []
    current = -1
    for line in text.split("\n"):
        words = line.split()
        if not words:
            continue
        if words[0] in ("ROOT", "JOINT"):
            current = len(names)
            names.append(" ".join(words[1:]))
            parents.append(stack[-1] if stack else -1)
            offsets.append([0.0] * 3)
            channels.append([])
        elif words[0] == "End":
            current = -1  # an end site's offset is nobody's
        elif words[0] == "{":
            stack.append(current)
        elif words[0] == "}":
            stack.pop()
        elif words[0] == "OFFSET" and stack[-1] >= 0:
            offsets[stack[-1]] = [float(word) for word in words[1:4]]
        elif words[0] == "CHANNELS":
            channels[stack[-1]] = words[2:]
    return names, parents, offsets, channels


def _pose_all(
    names: list[str], parents: list[int], offsets: np.ndarray, channels: list[list[str]], values: np.ndarray,
    frame_time: float,
) -> Bvh:  # fmt: skip
    """Forward kinematics of all frames at once; positions of joints other than the root's are the skeleton's."""
    frames = len(values)
    world = np.zeros((frames, len(names), 3, 3))
    places = np.zeros((frames, len(names), 3))
    column = 0
    for joint, parent in enumerate(parents):
        local = np.tile(np.eye(3), (frames, 1, 1))
        moved = np.zeros((frames, 3))
        for channel in channels[joint]:
            axis = channel[0].lower()
            if channel.endswith("rotation"):
                local = local @ rotations.about(axis, np.radians(values[:, column]))
            else:
                moved[:, "xyz".index(axis)] = values[:, column]
            column += 1
        if parent < 0:
            world[:, joint], places[:, joint] = local, moved
        else:
            world[:, joint] = world[:, parent] @ local
            places[:, joint] = places[:, parent] + world[:, parent] @ offsets[joint]
    return Bvh(names, parents, offsets, world, places, frame_time)
