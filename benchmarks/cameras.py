# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What several cameras gain from one engine: `python benchmarks/cameras.py [--json FILE]`.

The same frames go two ways, in turn, frame by frame: together (one engine; the people of all cameras in one `encode`
and one `estimate`), and one pipeline each, with an engine of its own, one after the other. `ratio` is the throughput
together divided by that apart, for every number of cameras and of people in each; the JSON file's `ratio` is that of
the most cameras with the most people.

Boxes and ids are given, so detector and tracker play no part: they are each camera's own in either way.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/cameras.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import CLOCKS, Clip, Clock, begin, carry_out, clip_seconds, first_full, options  # noqa: E402
from benchmarks.report import settings, table, write_json  # noqa: E402
from benchmarks.scenes import parse_size, walking_people  # noqa: E402
from sdtc_ros.engine.base import Engine  # noqa: E402
from sdtc_ros.pipeline.inference import CropBuffer  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402
from sdtc_ros.pipeline.together import process_together  # noqa: E402

CAMERAS = PEOPLE = (1, 2, 4)


@dataclass(frozen=True)
class Result:
    """So many cameras with so many people each; throughputs are people times frames a second, of all cameras."""

    cameras: int
    people: int
    together: float
    apart: float
    ratio: float


def measure(
    pipelines: Sequence[Pipeline], engines: Sequence[Engine], clips: Sequence[Clip], rounds: int, clock: Clock
) -> Result:
    """Play the clips, one a camera, `rounds` times both ways; pipelines and engines are as many as the clips."""
    frames = list(zip(*clips, strict=True))
    skipped = first_full(pipelines[0])
    together, apart = np.zeros((rounds, len(frames))), np.zeros((rounds, len(frames)))
    buffer = CropBuffer()
    bundle, config = pipelines[0].bundle, pipelines[0].config
    alone = [Pipeline(bundle, engine, config) for engine in engines]
    for turn in range(rounds):
        for pipeline in (*pipelines, *alone):
            pipeline.reset()
        for number, batch in enumerate(frames):
            inputs = [(pipeline, *given) for pipeline, given in zip(pipelines, batch, strict=True)]
            together[turn, number] = _seconds(clock, process_together, inputs, buffer)
            for pipeline, given in zip(alone, batch, strict=True):
                apart[turn, number] += _seconds(clock, pipeline.process, *given)
    people = len(clips[0][0][1])
    answered = len(clips) * people * (len(frames) - skipped)
    fast, slow = (answered / clip_seconds(seconds[:, skipped:]) for seconds in (together, apart))
    return Result(len(clips), people, fast, slow, fast / slow)


def _seconds(clock: Clock, work: Callable[..., object], *given: object) -> float:
    start = clock()
    work(*given)
    return clock() - start


def report(results: list[Result]) -> str:
    """One row a combination, as a Markdown table."""
    rows = [[f"{r.cameras} x {r.people}", f"{r.together:.1f}", f"{r.apart:.1f}", f"**{r.ratio:.2f}**"] for r in results]
    return table(["cameras x people, person-frames a second", "together", "one pipeline each", "ratio"], rows)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; with --json also write the figures."""
    parser = options("cameras", "Several cameras on one engine against one pipeline each.", frames=20)
    parser.add_argument("--people", type=int, help="people before each camera (default: 1, 2 and 4)")
    parser.add_argument("--size", type=parse_size, default=(640, 480), help="WIDTHxHEIGHT (default: 640x480)")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    results = _measured(args)
    print(report(results))
    if args.json:
        write_json(args.json, {
            "ratio": results[-1].ratio, "results": [asdict(result) for result in results], **settings(args),
        })  # fmt: skip


def _measured(args: argparse.Namespace) -> list[Result]:
    from sdtc_ros.engine.ort.host import OnnxEngine

    bundle = begin(args)
    shared, *own = (OnnxEngine(bundle, threads=args.threads) for _ in range(1 + max(CAMERAS)))
    config = PipelineConfig(lookahead=args.lookahead)
    results = []
    for cameras in CAMERAS:
        for people in (args.people,) if args.people else PEOPLE:
            pipelines = [Pipeline(bundle, shared, config) for _ in range(cameras)]
            length = first_full(pipelines[0]) + args.frames
            clips = [walking_people(people, args.size, length, seed) for seed in range(cameras)]
            results.append(measure(pipelines, own[:cameras], clips, args.rounds, CLOCKS[args.clock]))
    return results


if __name__ == "__main__":
    sys.exit(main())
