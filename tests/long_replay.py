# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Memory of a long replay: a looped clip, people who come and go, a cheap network; resident size by frames.

    python -m tests.long_replay --frames 100000

The clip is written as a video first (64 x 48, Motion JPEG), with boxes whose people change every 50 frames, so
that tracks begin and end all along; then the replay runs as `python -m sdtc_ros replay` does, bag and JSON included.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from pathlib import Path

import cv2
import numpy as np

from sdtc_ros.__main__ import main as command
from sdtc_ros.replay.progress import Progress
from tests.fake_bundle import make_bundle

AT = (1_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
LOOP = 200  # frames of the clip


def main() -> None:
    """Make the input, replay it, print resident megabytes by frames."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="long-replay-") as folder:
        work = Path(folder)
        video, boxes = write_input(work, args.frames)
        sizes = watch_memory()
        model = make_bundle(work / "model").folder
        words = [
            "replay",
            video,
            "--out",
            work / "out",
            "--model",
            model,
            "--boxes",
            boxes,
            "--no-video",
            "--threads",
            1,
        ]
        status = command([str(word) for word in words])
    print("| frames | resident MB |\n|---|---|")
    for frames, megabytes in sizes.items():
        print(f"| {frames:,} | {megabytes:.1f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"exit status {status}; peak {peak:.1f} MB")


def write_input(folder: Path, frames: int) -> tuple[Path, Path]:
    """The looped clip and its boxes: zero to three people, others every 50 frames."""
    rng = np.random.default_rng(5)
    clip = rng.integers(0, 255, (LOOP, 1, 1, 3), np.uint8).repeat(48, axis=1).repeat(64, axis=2)  # plain: soon written
    video = folder / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for number in range(frames):
        writer.write(clip[number % LOOP])
    writer.release()
    boxes = folder / "boxes.json"
    with boxes.open("w") as file:
        for number in range(frames):
            scene = number // 50
            for person in range(scene % 4):
                row = {"frame": number, "bbox": [4 + 18 * person, 4, 14, 36], "track_id": 4 * scene + person}
                file.write(("[" if number == 50 and not person else ",\n") + json.dumps(row))
        file.write("]")
    return video, boxes


def watch_memory() -> dict[int, float]:
    """Resident megabytes by number of frames, filled while a replay runs."""
    sizes: dict[int, float] = {}
    step, counted = Progress.step, [0]

    def counting(self: Progress) -> None:
        step(self)
        counted[0] += 1
        if counted[0] in AT:
            sizes[counted[0]] = resident()
            print(f"{counted[0]:,} frames: {sizes[counted[0]]:.1f} MB", flush=True)

    Progress.step = counting  # type: ignore[method-assign]
    return sizes


def resident() -> float:
    """This process's resident size in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
