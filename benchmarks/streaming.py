# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What cached tokens save: `python benchmarks/streaming.py [--json FILE]`.

The same walking people go through three pipelines on one engine, frame by frame in turn:

- full windows: `crop_drift_threshold` 0, the papers' protocol. Every keyframe has a crop of its own, so 2 * delta + 1
  encoder passes
  and one temporal pass a person.
- crops held: a crop never moves, so one encoder pass and one temporal pass a person. `ratio` is the throughput of this
  divided by that of full windows.
- default: the pipeline's own `crop_drift_threshold`, at which a walking person's crop moves every few frames
  (`ratio_default`).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/streaming.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import (  # noqa: E402
    CLOCKS,
    Clip,
    Clock,
    Recorder,
    begin,
    carry_out,
    clip_seconds,
    first_full,
    options,
    timed,
)
from benchmarks.models import network_config  # noqa: E402
from benchmarks.report import settings, table, write_json  # noqa: E402
from benchmarks.scenes import parse_size, walking_people  # noqa: E402
from sdtc_ros.engine.base import Engine  # noqa: E402
from sdtc_ros.models.bundle import Bundle  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402

HELD, DEFAULT, FULL = "crops held", "default", "full windows"
THRESHOLDS = {HELD: 1e9, DEFAULT: PipelineConfig().crop_drift_threshold, FULL: 0.0}


@dataclass(frozen=True)
class Result:
    """One way of keeping tokens: people times frames a second, and crops encoded a person and frame."""

    way: str
    threshold: float
    encodes: float
    throughput: float
    ratio: float  # of the throughput to that of full windows


def measure(
    bundle: Bundle, engine: Engine, clip: Clip, rounds: int, clock: Clock, lookahead: int | None = None
) -> list[Result]:
    """Play the clip `rounds` times through the three pipelines, which take turns at going first."""
    recorder = Recorder(engine)
    configs = [PipelineConfig(lookahead=lookahead, crop_drift_threshold=value) for value in THRESHOLDS.values()]
    pipelines = [Pipeline(bundle, recorder, config) for config in configs]
    skipped = first_full(pipelines[0])
    seconds = np.zeros((len(pipelines), rounds, len(clip)))
    encoded = np.zeros(len(pipelines), int)
    for turn in range(rounds):
        for pipeline in pipelines:
            pipeline.reset()
        for number, (frame, boxes) in enumerate(clip):
            for which in np.roll(np.arange(len(pipelines)), turn + number).tolist():
                recorder.calls.clear()
                seconds[which, turn, number], _ = timed(pipelines[which], frame, boxes, clock)
                encoded[which] += recorder.encoded if number >= skipped else 0
    answered = sum(len(boxes) for _, boxes in clip[skipped:])
    speed = [answered / clip_seconds(one[:, skipped:]) for one in seconds]
    return [
        Result(way, threshold, int(encoded[i]) / answered / rounds, speed[i], speed[i] / speed[-1])
        for i, (way, threshold) in enumerate(THRESHOLDS.items())
    ]


def report(results: list[Result]) -> str:
    """A Markdown table."""
    header = ["tokens", "threshold", "encodes a person-frame", "person-frames a second", "ratio"]
    rows = [
        [r.way, f"{r.threshold:g}", f"{r.encodes:.2f}", f"{r.throughput:.1f}", f"**{r.ratio:.2f}**"] for r in results
    ]
    return table(header, rows)


def multiply_adds(network: str) -> float:
    """The ratio that a named network's arithmetic allows: multiply-adds of a window by those of a streaming step."""
    from training.cost import sdtc_costs, totals

    sums = totals(sdtc_costs(network_config(network)))
    return sums["window_macs"] / sums["streaming_macs"]


def main(arguments: list[str] | None = None) -> int:
    """Print the table; with --json also write the figures."""
    parser = options("streaming", "Cached tokens against full windows.", frames=12)
    parser.add_argument("--people", type=int, default=8, help="people in the frame (default: %(default)s)")
    parser.add_argument("--size", type=parse_size, default=(640, 480), help="WIDTHxHEIGHT of it (default: 640x480)")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    results = _measured(args)
    print(report(results))
    by_way = {result.way: result for result in results}
    content = {"ratio": by_way[HELD].ratio, "ratio_default": by_way[DEFAULT].ratio, "people": args.people}
    if args.network:
        content["ratio_of_multiply_adds"] = multiply_adds(args.network)
        print(f"\n{args.network}'s multiply-adds allow {content['ratio_of_multiply_adds']:.2f}")
    if args.json:
        ways = [asdict(result) for result in results]
        write_json(args.json, {**content, "size": args.size, "ways": ways, **settings(args)})


def _measured(args: argparse.Namespace) -> list[Result]:
    from sdtc_ros.engine.ort.host import OnnxEngine

    bundle = begin(args)
    clip = walking_people(args.people, args.size, 2 * bundle.delta + 1 + args.frames)
    engine = OnnxEngine(bundle, threads=args.threads)
    return measure(bundle, engine, clip, args.rounds, CLOCKS[args.clock], args.lookahead)


if __name__ == "__main__":
    sys.exit(main())
