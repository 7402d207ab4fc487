# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""MediaPipe Pose beside us: `python benchmarks/peer.py --python MEDIAPIPE/bin/python [--json FILE]`.

The same frames and boxes go to both, each in a process of its own, clip by clip in turn, on one core. MediaPipe finds
one person in a picture, so it gets every person's crop: with a tracker a person ("tracking", as for a video), and as
pictures without a past ("still"). On clips of one person it also gets the whole frame, and we our own person detector,
of whose people we then take one a frame too.

`ratio` is our people a second with boxes given divided by MediaPipe's "tracking" on the first clip, 5 synthetic
people. A model that learnt from such people is favoured there, and the photograph says what it lacks.

`mediapipe` needs NumPy 1 and brings an OpenCV of its own, so it lives in an environment of its own (Python 3.9 to
3.12): `python3 -m venv mp && mp/bin/pip install mediapipe==0.10.21`; without it only our rows are measured, and that
is reported. Its wheel carries the model of complexity 1; 0 and 2 are downloaded when first asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/peer.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.beside import accuracy, clips, worker  # noqa: E402
from benchmarks.beside.accuracy import Accuracy  # noqa: E402
from benchmarks.beside.clips import Clip  # noqa: E402
from benchmarks.measure import begin, carry_out, clip_seconds, options  # noqa: E402
from benchmarks.report import settings, table, write_json  # noqa: E402
from sdtc_ros.errors import UsageError  # noqa: E402

OURS, THEIRS = "ours", "mediapipe"
DATA = ROOT.parent / "shared" / "data"  # real clips, where there are any beside the project
VIDEO, PHOTO = DATA / "video" / "pedestrians.avi", DATA / "posetrack18" / "annotations" / "val"
INSTALL = "python3 -m venv mp && mp/bin/pip install mediapipe==0.10.21, then --python mp/bin/python"


@dataclass(frozen=True)
class Result:
    """One contender's way with one clip; milliseconds: processor time of all threads, a person and frame."""

    clip: str
    contender: str
    mode: str
    throughput: float
    milliseconds: float
    megabytes: float
    accuracy: Accuracy


class Contender:
    """A worker process that plays clips when asked."""

    def __init__(self, kind: str, python: str, content: dict[str, Any], folder: Path) -> None:
        """Start it; its words on stderr go to a file in `folder`."""
        self.kind = kind
        self._log = folder / f"{kind}.log"
        self._folder = folder
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [python, str(Path(worker.__file__)), kind, json.dumps(content)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    def play(self, clip: Path, mode: str) -> tuple[dict[str, Any], Any]:
        """One round: seconds by clock and memory, and the points; raises UsageError where the process has died."""
        points = self._folder / f"{self.kind}.npy"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps({"clip": str(clip), "mode": mode, "points": str(points)}), file=self._process.stdin)
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            said = self._log.read_text(errors="replace").strip().splitlines() or ["nothing"]
            raise UsageError(f"the process of {self.kind} ended; its last words: {said[-1][:300]}")
        return json.loads(line), np.load(points)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def measure(
    clip: Clip, contenders: list[tuple[Contender, str]], rounds: int, skipped: int, clock: str, folder: Path
) -> list[Result]:
    """Play the clip `rounds` times in every way, in turn."""
    path = folder / f"{len(list(folder.glob('*.npz')))}.npz"  # a name of its own: the workers keep the last clip
    clip.save(path)
    answers: list[list[tuple[dict[str, Any], Any]]] = [[] for _ in contenders]
    for _ in range(rounds):
        for rows, (contender, mode) in zip(answers, contenders, strict=True):
            rows.append(contender.play(path, mode))
    people = int((~np.isnan(clip.boxes[skipped:, :, 0])).sum())
    results = []
    for rows, (contender, mode) in zip(answers, contenders, strict=True):
        seconds = {
            which: clip_seconds(np.array([row["seconds"][which] for row, _ in rows])[:, skipped:])
            for which in ("wall", "cpu")
        }
        found = accuracy.measure(rows[0][1], clip.boxes, clip.truth)
        results.append(Result(
            clip.name, contender.kind, mode, people / seconds[clock], 1000 * seconds["cpu"] / people,
            rows[0][0]["megabytes"], found,
        ))  # fmt: skip
    return results


def report(results: list[Result]) -> str:
    """A table a clip; the ratio is of the first row's throughput, ours, to the row's."""
    header = ["", "people a second", "ours is", "processor ms a person", "answered %", "PCKh visible", "occluded"]
    texts = []
    for name in dict.fromkeys(result.clip for result in results):
        rows = [result for result in results if result.clip == name]
        cells = [
            [
                f"{row.contender}, {row.mode}", f"{row.throughput:.1f}",
                f"**{rows[0].throughput / row.throughput:.2f}×**", f"{row.milliseconds:.2f}",
                f"{row.accuracy.found:.0f}", _cell(row.accuracy.visible), _cell(row.accuracy.occluded),
            ] for row in rows
        ]  # fmt: skip
        texts.append(f"{name}\n\n{table(header, cells)}")
    first = {row.contender: row.megabytes for row in reversed(results) if row.mode in ("boxes", "tracking")}
    used = ", ".join(f"{contender} {megabytes:.0f} MB" for contender, megabytes in sorted(first.items(), reverse=True))
    return "\n\n".join([*texts, f"Resident memory after the first clip, its frames not counted: {used}."])


def _cell(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.1f}"


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; with --json also write the figures."""
    parser = options("peer", "MediaPipe Pose beside us on the same frames and boxes.", frames=60)
    parser.set_defaults(threads=1, rounds=3)
    parser.add_argument("--python", default=sys.executable, help="of the environment that has mediapipe==0.10.21")
    parser.add_argument("--complexity", type=int, choices=(0, 1, 2), default=1, help="MediaPipe's model (default: 1)")
    parser.add_argument("--video", type=Path, default=VIDEO, help="a real video (default: %(default)s, if it is there)")
    parser.add_argument("--photo", type=Path, help="annotations (PoseTrack18 JSON) of a photograph beside them")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    results = _measured(args)
    print(report(results))
    if args.json:
        write_json(args.json, {
            "ratio": _ratio(results), "results": [asdict(result) for result in results],
            "complexity": args.complexity, **settings(args),
        })  # fmt: skip


def _ratio(results: list[Result]) -> float | None:
    by_way = {(row.contender, row.mode): row.throughput for row in results if row.clip == results[0].clip}
    theirs = by_way.get((THEIRS, "tracking"))
    return None if theirs is None else by_way[OURS, "boxes"] / theirs


def _measured(args: argparse.Namespace) -> list[Result]:
    bundle = begin(args)
    skipped = 2 * bundle.delta + 1
    if args.frames <= 2 * clips.MIN_FRAMES:
        raise UsageError(f"--frames must be over {2 * clips.MIN_FRAMES}, not {args.frames}")
    if args.threads and hasattr(os, "sched_setaffinity"):  # MediaPipe has no setting for it
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    with tempfile.TemporaryDirectory(prefix="sdtc_ros-peer-") as name:
        folder = Path(name)
        content = {"bundle": str(bundle.folder), "threads": args.threads}
        ours = Contender(OURS, sys.executable, content, folder)
        theirs = mediapipe_worker(args.python, args.complexity, folder)
        results = []
        for clip in _clips(args):
            ways = [(ours, "boxes"), *([(theirs, "tracking"), (theirs, "still")] if theirs else [])]
            if clip.boxes.shape[1] == 1:
                ways += [(ours, "detector"), *([(theirs, "whole")] if theirs else [])]
            results += measure(clip, ways, args.rounds, skipped, args.clock, folder)
        for contender in (ours, theirs):
            if contender is not None:
                contender.close()
    return results


def mediapipe_worker(python: str, complexity: int, folder: Path) -> Contender | None:
    """The other contender, or None (said on stderr) where it is not installed."""
    try:
        command = [python, "-c", "import mediapipe; print(mediapipe.__version__)"]
        found = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise UsageError(f"--python {python} cannot be started: {error}") from None
    if found.returncode:
        print(f"MediaPipe is not installed for {python}, so only ours is measured: {INSTALL}", file=sys.stderr)
        return None
    print(f"MediaPipe {found.stdout.strip()}, Pose, model complexity {complexity}\n")
    return Contender(THEIRS, python, {"complexity": complexity}, folder)


def _clips(args: argparse.Namespace) -> list[Clip]:
    found = [clips.synthetic(args.frames), clips.synthetic(args.frames, alone=True)]
    if args.video.exists() or args.video != VIDEO:
        found.append(clips.video(args.video, args.frames))
    photo = args.photo or next(iter(sorted(PHOTO.glob("*.json"))), None)
    if photo is not None:
        found.append(clips.photograph(photo, 2 * clips.MIN_FRAMES))
    return found


if __name__ == "__main__":
    sys.exit(main())
