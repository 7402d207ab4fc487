# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""One contender in a process of its own: `PYTHON worker.py ours|mediapipe SETTINGS`, asked line by line on stdin.

The other contender may need packages that do not go with ours (MediaPipe: NumPy 1), so this file runs in either's
environment and imports NumPy only; SETTINGS is a JSON object. A line {"clip": FILE, "mode": MODE, "points": FILE}
plays the clip once from the beginning and is answered by one line: seconds of every frame by both clocks, and the
memory of the process. The points go to the file named: T x P x 13 x 2 image pixels, NaN where nobody was found.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

JOINTS = (
    "nose", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip",
    "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
PLAYERS = {"ours": "ours", "mediapipe": "mediapipe_pose"}


def play(player: Any, images: Any, boxes: Any) -> dict[str, list[float]]:
    """Give the player every frame and its boxes (P x 4 xywh, NaN where a person is not there), and time each."""
    seconds: dict[str, list[float]] = {"wall": [], "cpu": []}
    for number, image in enumerate(images):
        wall, cpu = perf_counter(), process_time()
        player.step(number, image, boxes[number])
        seconds["cpu"].append(process_time() - cpu)
        seconds["wall"].append(perf_counter() - wall)
    player.finish()
    return seconds


def memory() -> float:
    """Resident memory of this process in MB (NaN where the system does not tell)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    return next(float(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS"))


def serve(make: Any) -> None:
    """Answer lines until stdin ends.

    make(mode, shape) gives a player whose points have that shape, T x P x 13 x 2; it reads the clip's "boxes" (people)
    or its "crops" (the boxes around them that our pipeline cuts), as its `reads` says.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the contender itself prints ("Downloading model ...") is no answer
    loaded, clip = "", {"images": np.empty(0)}
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["clip"] != loaded:
            with np.load(asked["clip"]) as stored:
                loaded, clip = asked["clip"], dict(stored)
        player = make(asked["mode"], (*clip["boxes"].shape[:2], len(JOINTS), 2))
        seconds = play(player, clip["images"], clip[player.reads])
        np.save(asked["points"], player.points)
        answer = {"seconds": seconds, "megabytes": memory() - clip["images"].nbytes / 1e6}
        del player
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    serve(import_module(PLAYERS[sys.argv[1]]).maker(json.loads(sys.argv[2])))
