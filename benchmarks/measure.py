# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Timing pipelines frame by frame, several side by side in one run, so that a busy machine slows all of them alike.

Wall-clock time is the default. On a machine that is busy with something else `--clock cpu` counts the processor time
of this process instead, which waiting for a core does not add to; ratios of the two agree where nothing waits.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.models import add_options, chosen_bundle
from benchmarks.report import surroundings
from sdtc_ros.engine.base import Engine, FloatArray, Handle
from sdtc_ros.errors import SdtcError, UsageError
from sdtc_ros.models.bundle import Bundle
from sdtc_ros.pipeline.pipeline import Pipeline
from sdtc_ros.types import Boxes, Frame

Clip = list[tuple[Frame, Boxes]]
Seconds = npt.NDArray[np.float64]
Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": perf_counter, "cpu": process_time}


class Recorder:
    """An engine that remembers what it was asked for since `calls` was last cleared, and can be asked again."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.calls: list[tuple[str, Any]] = []
        self.providers, self.precision, self.identity = engine.providers, engine.precision, engine.identity

    def encode(self, crops: npt.NDArray[np.uint8]) -> list[Handle]:
        """See Engine.encode."""
        self.calls.append(("encode", (crops,)))
        return self.engine.encode(crops)

    def estimate(
        self, windows: Sequence[Sequence[Handle]], moves: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """See Engine.estimate."""
        self.calls.append(("estimate", (windows, moves)))
        return self.engine.estimate(windows, moves)

    @property
    def encoded(self) -> int:
        """Crops encoded in the calls remembered."""
        return sum(len(batch[0]) for call, batch in self.calls if call == "encode")

    def again(self, clock: Clock) -> float:
        """Make the same calls once more, with nothing around them; seconds that they took."""
        start = clock()
        for call, given in self.calls:
            getattr(self.engine, call)(*given)
        return clock() - start


def timed(pipeline: Pipeline, frame: Frame, boxes: Boxes, clock: Clock) -> tuple[float, dict[str, float]]:
    """Seconds that one frame took, and its stages' (which are wall-clock whatever the clock)."""
    start = clock()
    answer = pipeline.process(frame, boxes)
    seconds = clock() - start
    return seconds, {} if answer is None else answer.timings


def first_full(pipeline: Pipeline) -> int:
    """Number of the first frame whose keyframe has a full past; those before cost something else."""
    return 2 * pipeline.bundle.delta + 1


def clip_seconds(seconds: Seconds) -> float:
    """Rounds x frames -> seconds of one round, each frame at its median over the rounds.

    A frame does the same work in every round, so what the median leaves out is other processes.
    """
    return float(np.median(seconds, axis=0).sum())


def options(program: str, description: str, frames: int, rounds: bool = True) -> argparse.ArgumentParser:
    """The options all benchmarks of the pipeline share; rounds: whether one that plays its clips again and again."""
    parser = argparse.ArgumentParser(prog=f"python benchmarks/{program}.py", description=description)
    add_options(parser)
    parser.add_argument("--frames", type=int, default=frames, help="frames measured a round (default: %(default)s)")
    if rounds:
        parser.add_argument("--rounds", type=int, default=5, help="times the clip is played (default: %(default)s)")
    else:
        parser.set_defaults(rounds=1)
    parser.add_argument("--threads", type=int, default=0, help="threads of ONNX Runtime (default: its own choice)")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: where the machine is busy (--threads 1)")
    parser.add_argument("--lookahead", type=int, help="frames seen beyond the keyframe (default: the model's delta)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return parser


def carry_out(
    parser: argparse.ArgumentParser, arguments: list[str] | None, work: Callable[[argparse.Namespace], None]
) -> int:
    """What every benchmark's main ends with: parse, work; an SdtcError is one sentence on stderr. The exit status."""
    args = parser.parse_args(arguments)
    try:
        work(args)
    except SdtcError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def begin(args: argparse.Namespace) -> Bundle:
    """Check the options, open the bundle that they name, and print what is measured where."""
    check_options(args)
    bundle = chosen_bundle(args.model, args.network)
    args.model_name = bundle.name
    print(surroundings(args) + "\n", flush=True)
    return bundle


def check_options(args: argparse.Namespace) -> None:
    """Raise UsageError for a number of people, frames or rounds under 1, or options that do not fit."""
    for name, least in (("people", 1), ("frames", 1), ("rounds", 1), ("threads", 0)):
        value = getattr(args, name, None)
        if value is not None and value < least:
            raise UsageError(f"--{name} must be >= {least}, got {value}")
    if args.clock == "cpu" and args.threads != 1:
        raise UsageError("--clock cpu adds up the time of all threads, so it needs --threads 1")
    if args.json is not None and not args.json.parent.is_dir():
        raise UsageError(f"--json {args.json}: no such folder: {args.json.parent}")
