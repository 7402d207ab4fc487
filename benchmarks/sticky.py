# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What crops that are held cost in accuracy: `python benchmarks/sticky.py [--plot FILE] [--json FILE]`.

Synthetic people go through one pipeline a threshold (`PipelineConfig.sticky`), frame by frame in turn, with annotated
boxes and again with boxes whose edges are moved as a detector's. 0 is the papers' protocol, "never" a crop that never
moves once it is there. Ids are given, so that nothing but the crop differs.

`ratio` of the JSON file is a difference: AP at the pipeline's default threshold minus AP at 0, annotated boxes, in
points. The default is meant to be the largest threshold up to which a detector's boxes lose no more than one point of
AP against 0, even with the difference's standard error over the clips on top (`chosen` of the JSON file). That is a
price for speed, not a threshold without loss; fewer clips, which know less, allow less.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/sticky.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import (  # noqa: E402
    FIRST_SEED,
    Figures,
    Run,
    Scene,
    jittered,
    measure,
    play,
    render_scene,
    standard_error,
)
from benchmarks.measure import CLOCKS, Clock, Recorder, begin, carry_out, options  # noqa: E402
from benchmarks.plots import check_plot, new_figure  # noqa: E402
from benchmarks.report import settings, table, write_json  # noqa: E402
from sdtc_ros.engine.base import Engine  # noqa: E402
from sdtc_ros.errors import UsageError  # noqa: E402
from sdtc_ros.ground_truth.sequence import Sequence as Annotations  # noqa: E402
from sdtc_ros.models.bundle import Bundle  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402

THRESHOLDS = (0.0, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, math.inf)
ANNOTATED, JITTERED = "annotated", "jittered"
ALLOWED = 1.0  # points of AP: the loss with its standard error


@dataclass(frozen=True)
class Row:
    """One threshold with one kind of boxes; loss: AP at 0 minus AP here, error: its standard error over the clips."""

    boxes: str
    sticky: float
    encodes: float  # a person and frame
    throughput: float  # person-frames a second
    ratio: float  # of it to that at 0
    figures: Figures
    loss: float
    error: float


def measure_all(
    bundle: Bundle, engine: Engine, scenes: Sequence[Scene], configs: Sequence[PipelineConfig], clock: Clock
) -> list[Row]:
    """Every scene through every configuration, which differ in `sticky`, with both kinds of boxes."""
    recorder = Recorder(engine)
    rows = []
    for kind in (ANNOTATED, JITTERED):
        runs = [Run() for _ in configs]
        for scene in scenes:
            random = np.random.default_rng(scene.seed)
            boxes = scene.boxes if kind == ANNOTATED else [jittered(one, random) for one in scene.boxes]
            pipelines = [Pipeline(bundle, recorder, config) for config in configs]
            play(scene, boxes, pipelines, runs, recorder, clock)
        rows += _rows(kind, [config.sticky for config in configs], runs, [scene.truth for scene in scenes])
    return rows


def _rows(kind: str, thresholds: Sequence[float], runs: list[Run], truths: list[Annotations]) -> list[Row]:
    """Costs and accuracies, and how they lie to those of the first threshold."""
    alone = [[measure([truth], [one]).ap for truth, one in zip(truths, run.answers, strict=True)] for run in runs]
    whole = [measure(truths, run.answers) for run in runs]
    speed = [run.people / run.seconds for run in runs]
    return [
        Row(
            kind, thresholds[i], run.encoded / run.people, speed[i], speed[i] / speed[0], whole[i],
            whole[0].ap - whole[i].ap, standard_error(alone[0], alone[i]),
        )
        for i, run in enumerate(runs)
    ]  # fmt: skip


def chosen(rows: Sequence[Row]) -> float:
    """The largest threshold up to which a detector's boxes lose no more than is allowed; an unknown error is none."""
    best = 0.0
    for row in sorted((row for row in rows if row.boxes == JITTERED), key=lambda row: row.sticky):
        if not row.loss + row.error <= ALLOWED:
            break
        best = row.sticky
    return best


def report(rows: Sequence[Row]) -> str:
    """A Markdown table a kind of boxes."""
    header = ["sticky", "encodes a person-frame", "speed", "AP", "AP lost", "PCKh", "wrists", "ankles", "hidden"]
    parts = []
    for kind in dict.fromkeys(row.boxes for row in rows):
        cells = [
            [_name(r.sticky), f"{r.encodes:.2f}", f"{r.ratio:.2f}×", f"{r.figures.ap:.1f}",
             f"{r.loss:.2f} ± {r.error:.2f}", *(f"{value:.1f}" for value in _joints(r.figures))]
            for r in rows if r.boxes == kind
        ]  # fmt: skip
        parts.append(f"{kind} boxes:\n\n{table(header, cells)}")
    return "\n\n".join(parts)


def _joints(figures: Figures) -> tuple[float, ...]:
    return figures.pckh, figures.wrists, figures.ankles, figures.hidden


def _name(threshold: float) -> str:
    return "never" if math.isinf(threshold) else f"{threshold:g}"


def plot(rows: Sequence[Row], path: Path) -> None:
    """AP against encodes and against speed, and what kinds of joints lose, as a PNG."""
    figure = new_figure(13, 4.2)
    left, middle, right = figure.subplots(1, 3)
    for kind, colour in ((ANNOTATED, "tab:blue"), (JITTERED, "tab:orange")):
        own = [row for row in rows if row.boxes == kind]
        ap = [row.figures.ap for row in own]
        for axes, x in ((left, [row.encodes for row in own]), (middle, [row.ratio for row in own])):
            axes.errorbar(x, ap, [row.error for row in own], marker="o", capsize=2, color=colour, label=f"{kind} boxes")
            beside, side = ((4, 4), "left") if kind == JITTERED else ((-4, -9), "right")
            style = {"textcoords": "offset points", "fontsize": 7, "color": colour, "ha": side}
            for at, row in zip(x, own, strict=True):
                axes.annotate(_name(row.sticky), (at, row.figures.ap), beside, **style)
    left.set(xlabel="encodes a person-frame", ylabel="AP")
    middle.set(xlabel="person-frames a second, against sticky 0", ylabel="AP")
    for axes in (left, middle):
        axes.margins(x=0.1)
    left.legend(loc="lower right")
    own = [row for row in rows if row.boxes == ANNOTATED]
    for name in ("pckh", "wrists", "ankles", "hidden"):
        lost = [getattr(row.figures, name) - getattr(own[0].figures, name) for row in own]
        right.plot(range(len(own)), lost, "o-", label={"pckh": "all joints"}.get(name, name))
    right.axhline(0, color="0.7", linewidth=0.8)
    right.set_xticks(range(len(own)), [_name(row.sticky) for row in own], fontsize=8)
    right.set(xlabel="sticky (annotated boxes)", ylabel="PCKh against sticky 0, points")
    right.legend(loc="lower left")
    figure.savefig(path, dpi=100)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; with --json and --plot also write figures and curve."""
    parser = options("sticky", "Accuracy and cost of crops that are held.", frames=32, rounds=False)
    parser.add_argument("--people", type=int, default=4, help="people a clip (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=24, help="clips, one a seed (default: %(default)s)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves (PNG)")
    parser.set_defaults(threads=1, clock="cpu")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    rows = _measured(args)
    print(report(rows))
    found = _name(chosen(rows))
    print(f"\nlargest threshold up to which {JITTERED} boxes lose, with the error, at most {ALLOWED:g} point: {found}")
    if args.plot:
        plot(rows, args.plot)
    if args.json:
        write_json(args.json, _content(rows) | {"clips": args.clips, "people": args.people, **settings(args)})


def _content(rows: Sequence[Row]) -> dict[str, Any]:
    default = PipelineConfig().sticky
    at_default = next(row for row in rows if row.boxes == ANNOTATED and row.sticky == default)
    listed = [asdict(row) | {"sticky": _name(row.sticky)} for row in rows]
    return {"ratio": -at_default.loss, "default": default, "chosen": _name(chosen(rows)), "rows": listed}


def _measured(args: argparse.Namespace) -> list[Row]:
    from sdtc_ros.engine.ort.host import OnnxEngine

    check_plot(args.plot)
    if args.clips < 1:
        raise UsageError(f"--clips must be at least 1, not {args.clips}")
    bundle = begin(args)
    scenes = [render_scene(FIRST_SEED + number, args.frames, args.people) for number in range(args.clips)]
    thresholds = sorted({*THRESHOLDS, PipelineConfig().sticky})
    configs = [PipelineConfig(lookahead=args.lookahead, sticky=threshold) for threshold in thresholds]
    return measure_all(bundle, OnnxEngine(bundle, threads=args.threads), scenes, configs, CLOCKS[args.clock])


if __name__ == "__main__":
    sys.exit(main())
