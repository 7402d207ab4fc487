# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Scenes for benchmarks of speed: frames of noise, and boxes of people who walk, with ids.

What is in the picture does not change the cost of a network, but how boxes move does: a crop that moves must be
encoded again. So everyone walks, in a direction and at a pace of their own, and turns at the image's edges.
"""

from __future__ import annotations

import argparse

import numpy as np

from sdtc_ros.types import Boxes, Frame

RATE = 30  # frames a second
IMAGES = 8  # different frames in memory, so that none stays in the processor's caches
SLOWEST, FASTEST = 0.1, 0.8  # body heights a second; 1.4 m/s is 0.8 for a person of 1.7 m
MARGIN = 0.2  # of the box's size: how far a person may leave the image


def parse_size(text: str) -> tuple[int, int]:
    """'640x480' -> (640, 480); argparse's error for anything else."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) > 1 and int(height) > 1):
        raise argparse.ArgumentTypeError(f"'{text}' is no image size; give WIDTHxHEIGHT, 640x480 say")
    return int(width), int(height)


def walking_people(people: int, size: tuple[int, int], count: int, seed: int = 0) -> list[tuple[Frame, Boxes]]:
    """`count` frames of (width, height) at 30 a second with `people` boxes each, the same for the same arguments."""
    random = np.random.default_rng(seed)
    width, height = size
    images = [random.integers(0, 256, (height, width, 3), np.uint8) for _ in range(min(IMAGES, count))]
    tall = height * random.uniform(0.25, 0.6, people)
    box = np.stack([tall * random.uniform(0.35, 0.5, people), tall], axis=1)
    low, high = -MARGIN * box, np.array(size) - (1 - MARGIN) * box
    start = random.uniform(low, high)
    angle = random.uniform(0, 2 * np.pi, people)
    direction = np.stack([np.cos(angle), 0.3 * np.sin(angle)], axis=1)  # more to the sides than up and down
    step = direction * (tall * random.uniform(SLOWEST, FASTEST, people) / RATE)[:, None]
    scores = random.uniform(0.5, 1.0, people).astype(np.float32)
    clip = []
    for number in range(count):
        room = high - low
        way = np.mod(start + number * step - low, 2 * room)
        corner = low + np.minimum(way, 2 * room - way)  # there and back
        xywh = np.concatenate([corner, box], axis=1).astype(np.float32)
        frame = Frame(images[number % IMAGES], number * 1_000_000_000 // RATE)
        clip.append((frame, Boxes(xywh, scores, np.arange(1, people + 1))))
    return clip
