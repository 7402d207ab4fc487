# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What goes over a network: images and poses of one camera, and what a JPEG's decoding costs."""

from __future__ import annotations

from dataclasses import dataclass
from time import process_time

import cv2
import numpy as np

from benchmarks.report import table
from sdtc_ros.io.bag import bag_message_types
from sdtc_ros.io.typestore import typestore
from sdtc_ros.messages.poses import POSES_TYPE, to_detections
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.synthetic import SceneConfig, iterate_clip
from sdtc_ros.types import Frame, FramePoses, Pose

RATE = 30.0
SIZES = ((640, 480), (1920, 1080))
QUALITIES = (95, 80)
PEOPLE = 4
SEED = 2_000_003_000  # neither training, validation nor the demo draw from it
FRAMES, REPEATS = 4, 5


@dataclass(frozen=True)
class Link:
    """Bytes a frame: raw, as a JPEG by quality, and PEOPLE's poses; decode: seconds a JPEG, by quality."""

    size: tuple[int, int]
    raw: int
    jpeg: dict[int, float]
    decode: dict[int, float]
    poses: int


def measure_links(skeleton: Skeleton) -> list[Link]:
    """Synthetic streets, the mean of a few frames; photographs compress less."""
    poses = poses_bytes(skeleton)
    found = []
    for size in SIZES:
        config = SceneConfig(width=size[0], height=size[1], frames=FRAMES, people=(PEOPLE, PEOPLE))
        images = [truth.image for truth in iterate_clip(config, SEED)]
        coded = {
            quality: [cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for image in images]
            for quality in QUALITIES
        }
        means = {quality: float(np.mean([len(one) for one in own])) for quality, own in coded.items()}
        found.append(Link(size, images[0].nbytes, means, {q: _decode(own) for q, own in coded.items()}, poses))
    return found


def _decode(coded: list[np.ndarray]) -> float:
    """Seconds of processor time an image: the median."""
    times = []
    for data in coded * REPEATS:
        start = process_time()
        cv2.imdecode(data, cv2.IMREAD_COLOR)
        times.append(process_time() - start)
    return float(np.median(times))


def poses_bytes(skeleton: Skeleton) -> int:
    """Bytes of the message that the node publishes for PEOPLE people, as ROS sends it."""
    joints = np.zeros((len(skeleton), 3), np.float32)
    poses = [Pose(number, np.zeros(4, np.float32), 1.0, joints, joints, 1.0) for number in range(PEOPLE)]
    frame = Frame(np.zeros((2, 2, 3), np.uint8), 0, frame_id="camera")
    message = to_detections(FramePoses(frame, poses), skeleton, bag_message_types())
    return len(typestore().serialize_cdr(message, POSES_TYPE))


def report_links(links: list[Link]) -> str:
    """Megabits a second at RATE, and milliseconds of decoding."""
    header = [f"at {RATE:g} Hz, one camera", *(f"{link.size[0]}x{link.size[1]}" for link in links)]
    rows = [["raw images", *(_megabits(link.raw) for link in links)]]
    for quality in QUALITIES:
        rows.append([f"JPEG of quality {quality}", *(_megabits(link.jpeg[quality]) for link in links)])
    rows.append([f"poses of {PEOPLE} people", *(_megabits(link.poses) for link in links)])
    for quality in QUALITIES:
        times = (f"{1e3 * link.decode[quality]:.1f} ms" for link in links)
        rows.append([f"decoding a JPEG of quality {quality}", *times])
    return table(header, rows)


def _megabits(size: float) -> str:
    return f"{8 * RATE * size / 1e6:.1f} Mbit/s"
