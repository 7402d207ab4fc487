# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Three small inputs with their annotations, and the batch command over them, for its tests."""

from __future__ import annotations

from collections.abc import Sequence as Inputs
from pathlib import Path

import cv2
import numpy as np

from sdtc_ros.__main__ import main
from sdtc_ros.ground_truth.posetrack_write import write_sequence
from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame

NAMES = ("east", "north", "west")
FRAMES = 4


def make_world(folder: Path) -> Path:
    """Three folders of images under `in`, and their annotations under `truth`: one person in every frame."""
    for place, name in enumerate(NAMES):
        (folder / "in" / name).mkdir(parents=True)
        frames = []
        for number in range(FRAMES):
            picture = np.full((64, 80, 3), 60 + 10 * number + 7 * place, np.uint8)
            cv2.imwrite(str(folder / "in" / name / f"{number:06d}.png"), picture)
            points = np.tile([20.0 + 4 * number, 26.0 + place, 1.0], (15, 1))
            person = Person(points, 5, np.array([8.0, 6.0, 24.0, 40.0]), np.array([10.0, 8.0, 30.0, 30.0]))
            frames.append(SequenceFrame(f"in/{name}/{number:06d}.png", 7000 + number, True, [person]))
        write_sequence(Sequence(name, frames), folder / "truth" / f"{name}.json")
    return folder


def inputs(world: Path) -> list[Path]:
    """The inputs of `make_world`."""
    return [world / "in" / name for name in NAMES]


def batch(sources: Inputs[Path], out: Path, model: Path, *arguments: object) -> int:
    """The exit status of a batch."""
    words = ["batch", *sources, "--out", out, "--model", model, "--threads", 1, "--no-video", *arguments]
    return main(list(map(str, words)))
