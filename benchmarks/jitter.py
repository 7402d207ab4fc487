# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Do joints tremble on still people, and lag on moving ones: `python benchmarks/jitter.py CLIP.json BUNDLE...`.

A clip's people, their boxes given, go through each bundle with and without later frames; the first bundle sees single
frames, and stands there by itself and behind the classical filter (`neighbours.fit` over two frames on each side, and
over two past ones). Jitter is the median length of a joint's acceleration, p(t+1) - 2 p(t) + p(t-1), in thousandths of
the box's height; lag is by how many frames joints stay behind along their velocity, the median too. Velocity and
place come of the first bundle's own joints, a line through nine frames of each, which lags by nothing.

CLIP.json as in benchmarks/neighbours.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/jitter.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.beside.worker import JOINTS  # noqa: E402
from benchmarks.neighbours import REACH, fit  # noqa: E402
from benchmarks.report import table, write_json  # noqa: E402
from sdtc_ros.errors import InputError, SdtcError, UsageError  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402
from sdtc_ros.types import Boxes, Frame  # noqa: E402

Array = npt.NDArray[np.float64]
Tracks = dict[int, Array]  # a person's id -> T x 13 x 3 (x, y, score), NaN in frames without a pose

SURE = 0.3
STILL, MOVING = 0.001, 0.004  # heights of the box a frame: slower, and faster
AROUND = 4  # frames on each side for the reference
STEP = 40_000_000  # nanoseconds between frames


def read_clip(path: Path, count: int, most: int) -> tuple[list[npt.NDArray[np.uint8]], list[Boxes]]:
    """The first `count` images of a clip and its `most` tallest people; InputError for a file that describes none."""
    try:
        clip = json.loads(path.read_text(encoding="utf-8"))
        video = cv2.VideoCapture(str(path.with_name(clip["video"])))
        frames = clip["frames"][:count]
        tallest: dict[int, float] = {}
        for one in (one for frame in frames for one in frame):
            tallest[one["id"]] = tallest.get(one["id"], 0.0) + one["box"][3]
        chosen = sorted(tallest, key=lambda person: -tallest[person])[:most]
        people = [[one for one in frame if one["id"] in chosen] for frame in frames]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} does not describe a clip ({error})") from error
    images: list[npt.NDArray[np.uint8]] = []
    while len(images) < len(people) and (got := video.read())[0]:
        images.append(got[1].astype(np.uint8, copy=False))
    if len(images) < 2 * AROUND + 1:
        raise InputError(f"{path}: {len(images)} frames can be read, {2 * AROUND + 1} are needed")
    return images, [
        Boxes(
            np.array([one["box"] for one in frame], np.float32).reshape(-1, 4), np.ones(len(frame), np.float32),
            np.array([one["id"] for one in frame], np.int64),
        ) for frame in people
    ]  # fmt: skip


def play(bundle: Path, images: list[npt.NDArray[np.uint8]], people: list[Boxes], lookahead: int | None) -> Tracks:
    """Everybody's JOINTS in every frame."""
    pipeline = Pipeline.from_bundle(bundle, PipelineConfig(min_box_score=0, lookahead=lookahead))
    frames = [Frame(image, (t + 1) * STEP, name=str(t)) for t, image in enumerate(images)]
    results = [pipeline.process(frame, boxes) for frame, boxes in zip(frames, people, strict=False)]
    tracks: Tracks = {}
    columns = [pipeline.bundle.skeleton.index(joint) for joint in JOINTS]
    for result in (*(one for one in results if one is not None), *pipeline.flush()):
        for pose in result.poses:
            track = tracks.setdefault(pose.track_id, np.full((len(images), len(JOINTS), 3), np.nan))
            track[int(result.frame.name)] = pose.keypoints[columns]
    return tracks


def filtered(tracks: Tracks, before: int, after: int) -> Tracks:
    """The classical filter on every joint of every track, where all of the frames it reads are there."""
    found = {}
    for person, track in tracks.items():
        found[person] = np.full_like(track, np.nan)
        for t in range(before, len(track) - after):
            part = track[t - before : t + after + 1].astype(np.float32)
            if not np.isnan(part).any():
                found[person][t] = [fit(part[:, joint], before) for joint in range(part.shape[1])]
    return found


def judged(tracks: Tracks, reference: Tracks, heights: dict[int, float]) -> dict[str, float]:
    """Jitter of still and of moving joints (thousandths of a height) and the lag of moving ones (frames)."""
    jitter: dict[str, list[Array]] = {"still": [], "moving": []}
    behind: list[Array] = []
    for person, track in tracks.items():
        before = reference[person]
        for t in range(AROUND, len(track) - AROUND):
            part = before[t - AROUND : t + AROUND + 1]
            time = np.arange(-AROUND, AROUND + 1.0)
            place, step = part[..., :2].mean(axis=0), np.tensordot(time, part[..., :2], 1) / (time @ time)
            speed = np.linalg.norm(step, axis=-1) / heights[person]
            acceleration = (track[t + 1] - 2 * track[t] + track[t - 1])[..., :2]
            sure = (part[..., 2] >= SURE).all(axis=0) & ~np.isnan(acceleration).any(axis=-1)
            size = 1000 * np.linalg.norm(acceleration, axis=-1) / heights[person]
            jitter["still"].append(size[sure & (speed < STILL)])
            moving = sure & (speed >= MOVING)
            jitter["moving"].append(size[moving])
            ahead = ((place - track[t][:, :2]) * step).sum(axis=-1)
            behind.append(ahead[moving] / (step**2).sum(axis=-1)[moving])
    figures = jitter | {"lag": behind}
    return {kind: float(np.median(np.concatenate(all_of))) for kind, all_of in figures.items()}


def rows_of(
    bundles: list[Path], images: list[npt.NDArray[np.uint8]], people: list[Boxes]
) -> dict[str, dict[str, float]]:
    """Figures by way; raises UsageError where the first bundle reads neighbours."""
    sizes: dict[int, list[float]] = {}
    for boxes in people:
        assert boxes.ids is not None
        for person, box in zip(boxes.ids.tolist(), boxes.xywh, strict=True):
            sizes.setdefault(person, []).append(float(box[3]))
    heights = {person: float(np.median(all_of)) for person, all_of in sizes.items()}
    if Pipeline.from_bundle(bundles[0]).bundle.delta:
        raise UsageError(f"{bundles[0]} reads neighbouring frames: name a single-frame bundle first")
    reference = play(bundles[0], images, people, None)
    ways = {
        f"{bundles[0].name}": reference,
        f"{bundles[0].name}, a line fitted": filtered(reference, REACH, REACH),
        f"{bundles[0].name}, a line fitted to past frames": filtered(reference, REACH, 0),
    }
    for bundle in bundles[1:]:
        ways[f"{bundle.name}"] = play(bundle, images, people, None)
        ways[f"{bundle.name}, past frames"] = play(bundle, images, people, 0)
    return {way: judged(tracks, reference, heights) for way, tracks in ways.items()}


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit status as in sdtc_ros.errors."""
    parser = argparse.ArgumentParser(prog="python benchmarks/jitter.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clip", type=Path, metavar="CLIP.json")
    parser.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE", help="the first one sees single frames")
    parser.add_argument("--frames", type=int, default=100, help="of the clip (default: 100)")
    parser.add_argument("--people", type=int, default=8, help="the tallest are taken (default: 8)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file, as JSON")
    args = parser.parse_args(arguments)
    try:
        found = rows_of(args.bundles, *read_clip(args.clip, args.frames, args.people))
    except SdtcError as error:
        print(f"jitter: error: {error}", file=sys.stderr)
        return error.exit_status
    header = ["", "jitter, still joints", "moving joints", "lag, frames"]
    rows = [[way, *(f"{one[kind]:.2f}" for kind in ("still", "moving", "lag"))] for way, one in found.items()]
    print(table(header, rows))
    if args.json:
        write_json(args.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
