# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The person detector, frame by frame, at several sizes: `python benchmarks/detector.py [--video FILE] [--python MP]`.

Milliseconds a frame, from the image to the boxes, on a video or one synthetic person, each size and MediaPipe in turn.
MediaPipe (an environment of its own, see benchmarks/peer.py) looks at the whole frame and gives one person's pose: its
row is its whole cost, of which its detector is seldom a part. `ratio` is MediaPipe's milliseconds by the detector's at
its default size.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/detector.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.beside import clips  # noqa: E402
from benchmarks.measure import CLOCKS, carry_out, check_options, clip_seconds, options  # noqa: E402
from benchmarks.peer import Contender, mediapipe_worker  # noqa: E402
from benchmarks.report import settings, surroundings, table, write_json  # noqa: E402
from sdtc_ros.detection.factory import START_SCORE, DetectorConfig  # noqa: E402
from sdtc_ros.detection.person import PersonConfig, PersonDetector  # noqa: E402
from sdtc_ros.io.sources import open_source  # noqa: E402

SIZES = (320, 416, 608)


@dataclass(frozen=True)
class Row:
    """Milliseconds a frame, by the clock asked for; people a frame, scored from start_score on (one of MediaPipe's)."""

    what: str
    milliseconds: float
    people: float


def frames_of(video: Path | None, count: int) -> npt.NDArray[np.uint8]:
    """T x H x W x 3: the first frames of a video, or of the demo's clip, cut around one person."""
    if video is None:
        return clips.synthetic(count, alone=True).images
    return np.stack([frame.image for (_, frame), _ in zip(open_source(video).frames, range(count), strict=False)])


def measure(images: npt.NDArray[np.uint8], sizes: tuple[int, ...], args: argparse.Namespace) -> list[Row]:
    """Every size on all frames, `rounds` times in turn; then MediaPipe, where it is installed."""
    clock = CLOCKS[args.clock]
    detectors = {size: PersonDetector(PersonConfig(size), threads=args.threads) for size in sizes}
    seconds = {size: np.zeros((args.rounds, len(images))) for size in sizes}
    people = {size: np.zeros(len(images)) for size in sizes}
    with tempfile.TemporaryDirectory(prefix="sdtc_ros-detector-") as name:
        other = mediapipe_worker(args.python, args.complexity, Path(name))
        theirs = np.zeros((args.rounds, len(images)))
        found = 0.0
        if other is not None:
            whole = np.array([[[0, 0, images.shape[2], images.shape[1]]]] * len(images), float)
            clips.Clip("frames", images, whole).save(Path(name) / "clip.npz")
        for turn in range(args.rounds):
            for number, image in enumerate(images):
                for size, detector in detectors.items():
                    begin = clock()
                    boxes = detector(image)
                    seconds[size][turn, number] = clock() - begin
                    people[size][number] = (boxes.scores >= START_SCORE).sum()
            if other is not None:
                found = play(other, Path(name), theirs[turn], args.clock)
        if other is not None:
            other.close()
    rows = [
        Row(f"detector at {size}", 1000 * clip_seconds(seconds[size]) / len(images), float(people[size].mean()))
        for size in sizes
    ]
    return rows + [Row("MediaPipe, whole", 1000 * clip_seconds(theirs) / len(images), found)] * (other is not None)


def play(other: Contender, folder: Path, seconds: npt.NDArray[np.float64], clock: str) -> float:
    """One round of MediaPipe on the whole frames, its seconds into `seconds`; the part of the frames it answered."""
    answer, points = other.play(folder / "clip.npz", "whole")
    seconds[:] = answer["seconds"][clock]
    return float((~np.isnan(points[..., 0])).any(axis=(1, 2)).mean())


def main(arguments: list[str] | None = None) -> int:
    """Print the table; with --json also write the figures."""
    parser = options("detector", "The person detector's cost at several sizes, beside MediaPipe's.", frames=30)
    parser.set_defaults(threads=1, rounds=3, model_name="nanodet-person", complexity=1)
    parser.add_argument("--python", default=sys.executable, help="of the environment that has mediapipe==0.10.21")
    parser.add_argument("--video", type=Path, help="a video of yours (default: one synthetic person)")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, metavar="PX", help="default: 320 416 608")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    check_options(args)
    if args.threads and hasattr(os, "sched_setaffinity"):  # MediaPipe has no setting for it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    print(surroundings(args) + "\n", flush=True)
    rows = measure(frames_of(args.video, args.frames), tuple(args.sizes), args)
    cells = [[row.what, f"{row.milliseconds:.1f}", f"{row.people:.1f}"] for row in rows]
    print(table(["", "ms a frame", "people a frame"], cells))
    if args.json:
        write_json(args.json, {"ratio": _ratio(rows), "rows": [asdict(row) for row in rows], **settings(args)})


def _ratio(rows: list[Row]) -> float | None:
    by_name = {row.what: row.milliseconds for row in rows}
    ours, theirs = by_name.get(f"detector at {DetectorConfig.size}"), by_name.get("MediaPipe, whole")
    return None if ours is None or theirs is None else theirs / ours


if __name__ == "__main__":
    sys.exit(main())
