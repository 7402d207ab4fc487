# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the frames before a new person's first detection are worth: `python benchmarks/track_start.py`.

Synthetic clips in which nobody is detected before frame START. A pipeline that has seen the frames before answers the
first keyframes from whole windows, as it does live and in a replay; one that begins at START has copies of its first
frame in their place, as a window of the detected frames alone would have. Boxes and ids are the annotations'.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/track_start.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import Run, Scene, find_scenes, measure, play, standard_error  # noqa: E402
from benchmarks.measure import CLOCKS, Recorder, begin, carry_out, options  # noqa: E402
from benchmarks.report import settings, table, write_json  # noqa: E402
from sdtc_ros.ground_truth.sequence import Sequence as Annotations  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402
from sdtc_ros.types import Boxes  # noqa: E402

START = 4  # the frame in which everybody is detected first
NOBODY = Boxes(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True)
class Row:
    """The first `keyframes` of everybody with one lookahead; gains are whole windows minus copies, with its error."""

    lookahead: int
    keyframes: int
    copies: float  # PCKh, percent
    whole: float
    gain: float
    error: float
    occluded_gain: float
    encodes_copies: float  # a person-frame
    encodes_whole: float


def runs_of(scenes: Sequence[Scene], recorder: Recorder, args: argparse.Namespace, lookahead: int) -> tuple[Run, Run]:
    """The clips with the frames before START seen, and without."""
    whole, copies = Run(), Run()
    config = PipelineConfig(lookahead=lookahead)
    for scene in scenes:
        late = [NOBODY if number < START else boxes for number, boxes in enumerate(scene.boxes)]
        cut = replace(scene, frames=scene.frames[START:])
        play(scene, late, [Pipeline(args.bundle, recorder, config)], [whole], recorder, CLOCKS[args.clock])
        play(
            cut, scene.boxes[START:], [Pipeline(args.bundle, recorder, config)], [copies], recorder, CLOCKS[args.clock]
        )
    return whole, copies


def first(run: Run, truths: Sequence[Annotations], keyframes: int) -> tuple[list[Annotations], list[Annotations]]:
    """Truth and answers of the first keyframes after START alone."""
    kept = [replace(truth, frames=truth.frames[START : START + keyframes]) for truth in truths]
    names = [{frame.name for frame in truth.frames} for truth in kept]
    answers = [
        replace(answer, frames=[frame for frame in answer.frames if frame.name in wanted])
        for answer, wanted in zip(run.answers, names, strict=True)
    ]
    return kept, answers


def rows_of(scenes: Sequence[Scene], recorder: Recorder, args: argparse.Namespace) -> list[Row]:
    """One a lookahead and number of keyframes."""
    truths, rows = [scene.truth for scene in scenes], []
    for lookahead in range(args.bundle.delta + 1):
        runs = runs_of(scenes, recorder, args, lookahead)
        for keyframes in (1, args.bundle.delta):
            found = [first(run, truths, keyframes) for run in runs]
            whole, copies = (measure(truth, answers) for truth, answers in found)
            alone = [[measure([t], [a]).pckh for t, a in zip(*pair, strict=True)] for pair in found]
            encodes = [run.encoded / run.people for run in runs]
            rows.append(
                Row(lookahead, keyframes, copies.pckh, whole.pckh, whole.pckh - copies.pckh,
                    standard_error(*alone), whole.occluded - copies.occluded, encodes[1], encodes[0])
            )  # fmt: skip
    return rows


def report(rows: Sequence[Row]) -> str:
    """A Markdown table."""
    head = ["lookahead", "first keyframes", "PCKh, copies", "whole", "gain", "occluded", "encodes, copies", "whole"]
    cells = [
        [str(r.lookahead), str(r.keyframes), f"{r.copies:.1f}", f"{r.whole:.1f}", f"{r.gain:+.1f} ± {r.error:.1f}",
         f"{r.occluded_gain:+.1f}", f"{r.encodes_copies:.2f}", f"{r.encodes_whole:.2f}"]
        for r in rows
    ]  # fmt: skip
    return table(head, cells)


def _work(args: argparse.Namespace) -> None:
    from sdtc_ros.engine.ort.host import OnnxEngine

    args.bundle = begin(args)
    recorder = Recorder(OnnxEngine(args.bundle, threads=args.threads))
    scenes = find_scenes(args.scenes, args.clips, args.frames)
    rows = rows_of(scenes, recorder, args)
    print(report(rows))
    if args.json:
        content = {"clips": args.clips, **settings(args)}
        write_json(args.json, {"rows": [asdict(row) for row in rows], **content})


def main(arguments: list[str] | None = None) -> int:
    """Print the table; with --json also write the figures."""
    parser = options("track_start", "What a new person's window is worth.", frames=14, rounds=False)
    parser.add_argument("--scenes", type=Path, metavar="DIR", help="rendered clips (default: stretches of the demo's)")
    parser.add_argument("--clips", type=int, default=24, help="clips at most (default: %(default)s)")
    parser.set_defaults(threads=1, clock="cpu")
    return carry_out(parser, arguments, _work)


if __name__ == "__main__":
    sys.exit(main())
