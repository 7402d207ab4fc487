# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What ONNX Runtime's threads cost and gain on the CPU: `python benchmarks/threads.py [--json FILE]`.

The network alone, one encoder pass and one window a person, as a camera would ask for it (a pause before every frame),
by the wall clock, the ways in turn: one thread; all threads, which sleep when they have nothing to do (the default);
all threads, which wait for work in a loop (ONNX Runtime's default). Once with the machine as it is and once beside a
process that keeps a core busy, as a robot's other nodes do. `ratio` is the time of 8 people's frame beside that
process, asleep by spinning.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, sleep

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/threads.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import begin, carry_out, options  # noqa: E402
from benchmarks.report import settings, table, write_json  # noqa: E402
from sdtc_ros.engine.base import Engine  # noqa: E402
from sdtc_ros.engine.ort.host import OnnxEngine  # noqa: E402
from sdtc_ros.models.bundle import Bundle  # noqa: E402

PEOPLE = (1, 8)
PAUSE = 0.02  # seconds before every frame
ONE, ASLEEP, SPINNING = "one thread", "asleep", "spinning"


@dataclass(frozen=True)
class Result:
    """Medians of a frame's wall time in ms, by way."""

    people: int
    busy: bool
    milliseconds: dict[str, float]


def measure(bundle: Bundle, threads: int, frames: int) -> list[Result]:
    """Every way, number of people and state of the machine; threads: of the last two ways."""
    engines: dict[str, Engine] = {
        ONE: OnnxEngine(bundle, threads=1),
        ASLEEP: OnnxEngine(bundle, threads=threads),
        SPINNING: OnnxEngine(bundle, threads=threads, spinning=True),
    }
    results = []
    for busy in (False, True):
        with ExitStack() as stack:
            if busy:
                other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
                stack.callback(other.wait)
                stack.callback(other.kill)
            results += [Result(people, busy, _in_turn(bundle, engines, people, frames)) for people in PEOPLE]
    return results


def _in_turn(bundle: Bundle, engines: dict[str, Engine], people: int, frames: int) -> dict[str, float]:
    width, height = bundle.input_size
    crops = np.random.default_rng(0).integers(0, 256, (people, height, width, 3), np.uint8)
    taken: dict[str, list[float]] = {way: [] for way in engines}
    for _ in range(frames):
        for way, engine in engines.items():
            sleep(PAUSE)
            start = perf_counter()
            handles = engine.encode(crops)
            engine.estimate([[handle] * (2 * bundle.delta + 1) for handle in handles])
            taken[way].append(perf_counter() - start)
    return {way: 1000 * float(np.median(seconds)) for way, seconds in taken.items()}


def report(results: list[Result]) -> str:
    """A Markdown table."""
    rows = []
    for r in results:
        what = f"{r.people} people, {'beside a busy process' if r.busy else 'alone'}"
        rows.append([what, *(f"{milliseconds:.1f}" for milliseconds in r.milliseconds.values())])
    return table(["ms a frame (wall time)", *results[0].milliseconds], rows)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; with --json also write the figures."""
    return carry_out(options("threads", "ONNX Runtime's threads on the CPU.", frames=40), arguments, _work)


def _work(args: argparse.Namespace) -> None:
    bundle = begin(args)
    results = measure(bundle, args.threads or os.cpu_count() or 1, args.frames)
    print(report(results))
    if args.json:
        last = results[-1].milliseconds
        content = {"ratio": last[ASLEEP] / last[SPINNING], "results": [asdict(result) for result in results]}
        write_json(args.json, {**content, **settings(args)})


if __name__ == "__main__":
    sys.exit(main())
