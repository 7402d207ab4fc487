# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a setting costs in accuracy: `python benchmarks/sweep.py SETTING [--plot FILE] [--json FILE]`.

Synthetic people go through one pipeline a value, frame by frame in turn. SETTING `crop_drift_threshold` (how far a
crop may drift) is played
with annotated boxes and with boxes whose edges are moved as a detector's, ids given, so that nothing but the crop
differs. `detect_every` is played with such boxes, without ids and with some people missed; which frames the misses fall
on differs from value to value, so `--draws` of them are played and figures are their means.

`ratio` of the JSON file is a difference: AP at the pipeline's default (`detect_every`: at 5) minus AP at the first
value, in points. `chosen` is the largest value up to which no more than one point of AP is lost against the first, the
difference's standard error over the clips added: fewer clips, which know less, allow less.
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
if str(ROOT) not in sys.path:  # so that `python benchmarks/sweep.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import (  # noqa: E402
    Figures,
    Run,
    Scene,
    detected,
    find_scenes,
    jittered,
    measure,
    play,
    standard_error,
)
from benchmarks.measure import CLOCKS, Clock, Recorder, begin, carry_out, options  # noqa: E402
from benchmarks.plots import check_plot, new_figure  # noqa: E402
from benchmarks.report import settings, table, write_json  # noqa: E402
from sdtc_ros.engine.base import Engine  # noqa: E402
from sdtc_ros.errors import UsageError  # noqa: E402
from sdtc_ros.models.bundle import Bundle  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402
from sdtc_ros.types import Boxes  # noqa: E402

VALUES: dict[str, tuple[float, ...]] = {
    "crop_drift_threshold": (0.0, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, math.inf),
    "detect_every": (1, 2, 3, 5, 8, 12),
}
ANNOTATED, JITTERED, DETECTED = "annotated", "jittered", "detected"
KINDS = {"crop_drift_threshold": (JITTERED, ANNOTATED), "detect_every": (DETECTED,)}  # the first decides about `chosen`
ALLOWED = 1.0  # points of AP: the loss with its standard error


@dataclass(frozen=True)
class Row:
    """One value with one kind of boxes; loss: AP at the first value minus AP here, error: its standard error."""

    boxes: str
    value: float
    encodes: float  # a person and frame
    milliseconds: float  # a frame
    ratio: float  # of the time at the first value to this
    figures: Figures
    loss: float
    error: float


def measure_all(
    bundle: Bundle,
    engine: Engine,
    scenes: Sequence[Scene],
    setting: str,
    lookahead: int | None,
    clock: Clock,
    draws: int,
) -> list[Row]:
    """Every scene at every value of the setting, with every kind of boxes."""
    recorder, rows = Recorder(engine), []
    for kind in KINDS[setting]:
        runs = [Run() for _ in VALUES[setting]]
        for draw in range(draws if kind == DETECTED else 1):
            for scene in scenes:
                pipelines = [
                    _pipeline(bundle, scene, _config(lookahead, setting, value), recorder, draw)
                    for value in VALUES[setting]
                ]
                play(scene, _boxes(scene, kind), pipelines, runs, recorder, clock)
        rows += _rows(kind, VALUES[setting], runs, scenes)
    return rows


def _config(lookahead: int | None, setting: str, value: float) -> PipelineConfig:
    changed: dict[str, Any] = {setting: value}
    return PipelineConfig(lookahead, **changed)


def _pipeline(bundle: Bundle, scene: Scene, config: PipelineConfig, engine: Engine, draw: int) -> Pipeline:
    """A pipeline whose detector, where it is asked, sees the scene's people as `detected` gives them."""
    by_image = {id(frame.image): number for number, frame in enumerate(scene.frames)}
    return Pipeline(bundle, engine, config, lambda image: detected(scene, by_image[id(image)], draw))


def _boxes(scene: Scene, kind: str) -> Sequence[Boxes | None]:
    if kind == DETECTED:
        return [None] * len(scene.frames)
    random = np.random.default_rng(scene.number)
    return scene.boxes if kind == ANNOTATED else [jittered(one, random) for one in scene.boxes]


def _rows(kind: str, values: Sequence[float], runs: Sequence[Run], scenes: Sequence[Scene]) -> list[Row]:
    """Costs and accuracies, means over the draws, and how they lie to those of the first value."""
    clips = len(scenes)
    truths = [scene.truth for scene in scenes]
    alone, whole = [], []
    for run in runs:
        drawn = [run.answers[first : first + clips] for first in range(0, len(run.answers), clips)]
        by_clip = [[measure([truths[i]], [answers[i]]).ap for i in range(clips)] for answers in drawn]
        alone.append(np.mean(by_clip, axis=0).tolist())
        whole.append(_mean([measure(truths, answers) for answers in drawn]))
    return [
        Row(
            kind, value, run.encoded / max(run.people, 1), 1e3 * run.seconds / run.frames,
            (runs[0].seconds / runs[0].frames) / (run.seconds / run.frames), figures, whole[0].ap - figures.ap,
            standard_error(alone[0], own),
        )
        for value, run, figures, own in zip(values, runs, whole, alone, strict=True)
    ]  # fmt: skip


def _mean(found: Sequence[Figures]) -> Figures:
    return Figures(**{name: float(np.mean([getattr(one, name) for one in found])) for name in asdict(found[0])})


def chosen(rows: Sequence[Row]) -> float:
    """The largest value up to which the first kind of boxes loses no more than is allowed; an unknown error is none."""
    own = sorted((row for row in rows if row.boxes == rows[0].boxes), key=lambda row: row.value)
    best = own[0].value
    for row in own:
        if not row.loss + row.error <= ALLOWED:
            break
        best = row.value
    return best


def report(setting: str, rows: Sequence[Row]) -> str:
    """A Markdown table a kind of boxes."""
    header = [setting, "encodes a person-frame", "ms a frame", "speed", "AP", "AP lost", "PCKh", "wrists", "ankles",
              "occluded", "MOTA"]  # fmt: skip
    parts = []
    for kind in dict.fromkeys(row.boxes for row in rows):
        cells = [
            [_name(r.value), f"{r.encodes:.2f}", f"{r.milliseconds:.1f}", f"{r.ratio:.2f}×", f"{r.figures.ap:.1f}",
             f"{r.loss:.2f} ± {r.error:.2f}", *(f"{getattr(r.figures, name):.1f}" for name in
             ("pckh", "wrists", "ankles", "occluded", "mota"))]
            for r in rows if r.boxes == kind
        ]  # fmt: skip
        parts.append(f"{kind} boxes:\n\n{table(header, cells)}")
    return "\n\n".join(parts)


def _name(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:g}"


def plot(setting: str, rows: Sequence[Row], path: Path) -> None:
    """AP against the setting and against speed, as a PNG."""
    figure = new_figure(9, 4.2)
    left, right = figure.subplots(1, 2)
    for kind, colour in zip(dict.fromkeys(row.boxes for row in rows), ("tab:orange", "tab:blue"), strict=False):
        own = [row for row in rows if row.boxes == kind]
        ap, errors, names = [row.figures.ap for row in own], [row.error for row in own], [_name(r.value) for r in own]
        left.errorbar(range(len(own)), ap, errors, marker="o", capsize=2, color=colour, label=f"{kind} boxes")
        left.set_xticks(range(len(own)), names)
        right.errorbar([row.ratio for row in own], ap, errors, marker="o", capsize=2, color=colour)
    left.set(xlabel=setting, ylabel="AP")
    right.set(xlabel=f"frames a second, against {setting} {_name(rows[0].value)}", ylabel="AP")
    left.legend(loc="lower left")
    figure.savefig(path, dpi=100)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; with --json and --plot also write figures and curve."""
    parser = options("sweep", "Accuracy and cost by one setting of the pipeline.", frames=32, rounds=False)
    parser.add_argument("setting", choices=list(VALUES), help="which setting")
    parser.add_argument("--scenes", type=Path, metavar="DIR", help="rendered clips (default: stretches of the demo's)")
    parser.add_argument("--clips", type=int, default=24, help="clips at most (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=2, help="of whom a detector misses (default: %(default)s)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves (PNG)")
    parser.set_defaults(threads=1, clock="cpu")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    rows = _measured(args)
    print(report(args.setting, rows))
    found = _name(chosen(rows))
    print(
        f"\nlargest {args.setting} up to which {rows[0].boxes} boxes lose, with the error, {ALLOWED:g} point: {found}"
    )
    if args.plot:
        plot(args.setting, rows, args.plot)
    if args.json:
        counts = {"clips": args.clips, "draws": args.draws, "setting": args.setting}
        write_json(args.json, _content(args.setting, rows) | counts | settings(args))


def _content(setting: str, rows: Sequence[Row]) -> dict[str, Any]:
    asked = PipelineConfig().crop_drift_threshold if setting == "crop_drift_threshold" else 5
    own = [row for row in rows if row.boxes == KINDS[setting][-1]]
    listed = [asdict(row) | {"value": _name(row.value)} for row in rows]
    at = next(row for row in own if row.value == asked)
    return {"ratio": -at.loss, "at": asked, "chosen": _name(chosen(rows)), "rows": listed}


def _measured(args: argparse.Namespace) -> list[Row]:
    from sdtc_ros.engine.ort.host import OnnxEngine

    check_plot(args.plot)
    for name in ("clips", "draws"):
        if getattr(args, name) < 1:
            raise UsageError(f"--{name} must be >= 1, got {getattr(args, name)}")
    bundle, clock = begin(args), CLOCKS[args.clock]
    scenes = find_scenes(args.scenes, args.clips, args.frames)
    engine = OnnxEngine(bundle, threads=args.threads)
    return measure_all(bundle, engine, scenes, args.setting, args.lookahead, clock, args.draws)


if __name__ == "__main__":
    sys.exit(main())
