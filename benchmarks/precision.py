# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What FP16 and INT8 save and cost on the CPU: `python benchmarks/precision.py [--model BUNDLE] [--json FILE]`.

The same walking people go through a pipeline a precision, frame by frame in turn. `ratio` is the throughput in INT8
divided by that in FP32, in the same run. Beside it stands how far the keypoints of synthetic people move (the gate's
own figures, sdtc_ros.engine.accuracy_check). On a CPU, FP16 is there to be checked: ONNX Runtime computes it in FP32.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/precision.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import (  # noqa: E402
    CLOCKS,
    Clip,
    Clock,
    begin,
    carry_out,
    clip_seconds,
    first_full,
    options,
    timed,
)
from benchmarks.models import with_precision  # noqa: E402
from benchmarks.report import settings, table, write_json  # noqa: E402
from benchmarks.scenes import parse_size, walking_people  # noqa: E402
from sdtc_ros.engine.accuracy_check import Deviation, measure_deviation  # noqa: E402
from sdtc_ros.engine.ort.host import OnnxEngine  # noqa: E402
from sdtc_ros.errors import UsageError  # noqa: E402
from sdtc_ros.models.bundle import Bundle  # noqa: E402
from sdtc_ros.options import PRECISIONS  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402

FULL = PRECISIONS[0]


@dataclass(frozen=True)
class Result:
    """One precision: the size of its graphs, people times frames a second, how far it moves keypoints."""

    precision: str
    megabytes: float
    throughput: float
    ratio: float  # of the throughput to that of FP32
    deviation: Deviation


def measure(
    bundle: Bundle, clip: Clip, rounds: int, clock: Clock, threads: int, lookahead: int | None = None, windows: int = 16
) -> list[Result]:
    """Play the clip `rounds` times through a pipeline a precision; they take turns at going first."""
    names = [FULL, *bundle.precisions]
    engines = {name: OnnxEngine(bundle, precision=name, threads=threads) for name in names}
    pipelines = [Pipeline(bundle, engines[name], PipelineConfig(lookahead=lookahead)) for name in names]
    skipped = first_full(pipelines[0])
    seconds = np.zeros((len(names), rounds, len(clip)))
    for turn in range(rounds):
        for pipeline in pipelines:
            pipeline.reset()
        for number, (frame, boxes) in enumerate(clip):
            for which in np.roll(np.arange(len(names)), turn + number).tolist():
                seconds[which, turn, number], _ = timed(pipelines[which], frame, boxes, clock)
    answered = sum(len(boxes) for _, boxes in clip[skipped:])
    speed = [answered / clip_seconds(one[:, skipped:]) for one in seconds]
    results = []
    for which, name in enumerate(names):
        size = sum((bundle.folder / file).stat().st_size for file in bundle.files_of(name)) / 1e6
        deviation = Deviation.none()
        if name != FULL:
            deviation = measure_deviation(engines[name], bundle, precision=name, windows=windows, threads=threads)
        results.append(Result(name, size, speed[which], speed[which] / speed[0], deviation))
    return results


def report(results: list[Result]) -> str:
    """A Markdown table; no deviation where the weights are random and no joint can be compared."""
    header = [
        "precision",
        "MB",
        "person-frames a second",
        "ratio",
        "keypoints moved, px: p50",
        "p99",
        "max",
        "over 1 px",
    ]
    rows = []
    for r in results:
        found = r.deviation
        moved = [f"{value:.2g}" for value in (found.p50, found.p99, found.max)] + [f"{found.over_pixel:.1%}"]
        known = found.joints >= found.undecided
        figures = [f"{r.megabytes:.1f}", f"{r.throughput:.1f}", f"**{r.ratio:.2f}**"]
        rows.append([r.precision, *figures, *(moved if known else ["-"] * 4)])
    return table(header, rows)


def with_precisions(bundle: Bundle, random_weights: bool) -> Bundle:
    """The bundle, if it has more than FP32; one of random weights is given the others, unjudged."""
    if random_weights:
        for precision in PRECISIONS[1:]:
            bundle = with_precision(bundle, precision)
    elif not bundle.precisions:
        raise UsageError(
            f"model bundle '{bundle.folder}' has FP32 graphs only; `python -m export add {bundle.folder} "
            "--precisions fp16 int8` adds others"
        )
    return bundle


def main(arguments: list[str] | None = None) -> int:
    """Print the table; with --json also write the figures."""
    parser = options("precision", "FP16 and INT8 against FP32, on the CPU.", frames=12)
    parser.add_argument("--people", type=int, default=8, help="people in the frame (default: %(default)s)")
    parser.add_argument("--size", type=parse_size, default=(640, 480), help="WIDTHxHEIGHT of it (default: 640x480)")
    parser.add_argument("--windows", type=int, default=16, help="windows compared (default: %(default)s)")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    results = _measured(args)
    print(report(results))
    if args.json:
        by_name = {result.precision: result.ratio for result in results}
        content = {"ratio": by_name.get("int8"), "ratios": by_name, "people": args.people, "size": args.size}
        write_json(args.json, {**content, "precisions": [asdict(r) for r in results], **settings(args)})


def _measured(args: argparse.Namespace) -> list[Result]:
    if args.windows < 1:
        raise UsageError(f"--windows must be >= 1, got {args.windows}")
    bundle = with_precisions(begin(args), args.network is not None)
    clip = walking_people(args.people, args.size, 2 * bundle.delta + 1 + args.frames)
    return measure(bundle, clip, args.rounds, CLOCKS[args.clock], args.threads, args.lookahead, args.windows)


if __name__ == "__main__":
    sys.exit(main())
