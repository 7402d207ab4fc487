# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the pipeline costs beyond its network: `python benchmarks/pipeline.py [--json FILE]`.

Boxes and ids are given, so detector and tracker play no part. Every frame goes through the pipeline; then the engine
calls that it made are made again on the same batches, with nothing around them. `ratio` is the throughput of the
pipeline divided by that of the bare calls, 1 at best. The bare calls come second and find their batches in the
processor's caches, so the ratio is, if anything, too low.

Without --people and --size two scenes are measured: 8 people in 640x480 (the `ratio` of the JSON file) and 30 people
in 1920x1080.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/pipeline.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import (  # noqa: E402
    CLOCKS,
    Clock,
    Recorder,
    Seconds,
    begin,
    carry_out,
    clip_seconds,
    first_full,
    options,
    timed,
)
from benchmarks.report import settings, table, write_json  # noqa: E402
from benchmarks.scenes import parse_size, walking_people  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402

SCENES = ((8, (640, 480)), (30, (1920, 1080)))
STAGES = ("track", "crop", "encode", "estimate")


@dataclass(frozen=True)
class Result:
    """One scene. Throughputs are people times frames a second; the stages are medians over its frames, in ms."""

    people: int
    size: tuple[int, int]
    encodes: float  # crops encoded a person and frame: 1 + what moving crops cost
    pipeline: float
    bare: float
    ratio: float
    stages_ms: dict[str, float]

    @property
    def scene(self) -> str:
        """'8 people, 640x480'."""
        return f"{self.people} people, {self.size[0]}x{self.size[1]}"


def measure(pipeline: Pipeline, people: int, size: tuple[int, int], frames: int, rounds: int, clock: Clock) -> Result:
    """Play the scene `rounds` times through the pipeline, each frame followed by its bare engine calls."""
    recorder = pipeline.engine = Recorder(pipeline.engine)
    skipped = first_full(pipeline)
    clip = walking_people(people, size, skipped + frames)
    whole, bare = np.zeros((rounds, len(clip))), np.zeros((rounds, len(clip)))
    stages = {stage: np.zeros((rounds, len(clip))) for stage in STAGES}
    encoded = 0
    for turn in range(rounds):
        pipeline.reset()
        for number, (frame, boxes) in enumerate(clip):
            recorder.calls.clear()
            whole[turn, number], timings = timed(pipeline, frame, boxes, clock)
            bare[turn, number] = recorder.again(clock)
            for stage in STAGES:
                stages[stage][turn, number] = timings.get(stage, 0.0)
            encoded += recorder.encoded if number >= skipped else 0
    answered = people * frames
    fast, faster = (answered / clip_seconds(seconds[:, skipped:]) for seconds in (whole, bare))
    return Result(
        people, size, encoded / answered / rounds, fast, faster, fast / faster,
        {stage: _median_ms(seconds[:, skipped:]) for stage, seconds in stages.items()},
    )  # fmt: skip


def _median_ms(seconds: Seconds) -> float:
    return float(np.median(seconds)) * 1000


def report(results: list[Result]) -> str:
    """Throughputs and stages as two Markdown tables."""
    speed = [
        [r.scene, f"{r.encodes:.2f}", f"{r.pipeline:.1f}", f"{r.bare:.1f}", f"**{100 * r.ratio:.1f} %**"]
        for r in results
    ]
    header = ["person-frames a second", "encodes a person-frame", "pipeline", "bare engine calls", "ratio"]
    stages = [[stage, *(f"{r.stages_ms[stage]:.2f}" for r in results)] for stage in results[0].stages_ms]
    return table(header, speed) + "\n\n" + table(["stage, median ms a frame", *(r.scene for r in results)], stages)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; with --json also write the figures."""
    parser = options("pipeline", "The pipeline against its bare engine calls on the same batches.", frames=20)
    parser.add_argument("--people", type=int, help="people in the frame (default: both scenes)")
    parser.add_argument("--size", type=parse_size, help="WIDTHxHEIGHT of the frame (default: 640x480 with --people)")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    results = _measured(args)
    print(report(results))
    if args.json:
        write_json(args.json, {
            "ratio": results[0].ratio, "scenes": [asdict(result) for result in results], **settings(args),
        })  # fmt: skip


def _measured(args: argparse.Namespace) -> list[Result]:
    from sdtc_ros.engine.ort.host import OnnxEngine

    bundle = begin(args)
    engine = OnnxEngine(bundle, threads=args.threads)
    one = ((args.people or SCENES[0][0], args.size or SCENES[0][1]),)
    scenes = one if args.people or args.size else SCENES
    config = PipelineConfig(lookahead=args.lookahead)
    return [
        measure(Pipeline(bundle, engine, config), people, size, args.frames, args.rounds, CLOCKS[args.clock])
        for people, size in scenes
    ]


if __name__ == "__main__":
    sys.exit(main())
