# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A detector in every k-th frame: `python benchmarks/detection_rate.py [--plot FILE] [--json FILE]`.

Synthetic people; the detector is the truth with trembling edges and some people missed (see `accuracy`), asked in every
k-th frame. Between, boxes are carried on in three ways: by the poses, which is the pipeline's; at the constant speed of
the last two detections, which it falls back on where poses tell nothing; or not at all. Which frames the misses fall on
differs from k to k, so every clip is played with several draws of them, and figures are their mean. For the cost,
The person detector is timed on the same frames: a frame costs the pipeline's time and a k-th of the detector's.

`ratio` of the JSON file is AP with a detection in every fifth frame, boxes carried on by the poses, divided by AP with
one in every frame.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/detection_rate.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import (  # noqa: E402
    FIRST_SEED,
    RATE,
    Figures,
    Run,
    Scene,
    detected,
    measure,
    play,
    render_scene,
    standard_error,
)
from benchmarks.measure import CLOCKS, Clock, Recorder, begin, carry_out, options  # noqa: E402
from benchmarks.plots import check_plot, new_figure  # noqa: E402
from benchmarks.report import settings, table, write_json  # noqa: E402
from sdtc_ros.detection.boxes import Image, overlaps  # noqa: E402
from sdtc_ros.detection.person import PersonDetector  # noqa: E402
from sdtc_ros.engine.base import Engine  # noqa: E402
from sdtc_ros.errors import UsageError  # noqa: E402
from sdtc_ros.models.bundle import Bundle  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402
from sdtc_ros.tracking.tracker import Tracker  # noqa: E402
from sdtc_ros.types import Boxes, FramePoses  # noqa: E402

EVERY = (1, 2, 3, 5, 8, 12)
POSES, SPEED, HELD = "poses", "constant speed", "not carried"
COLOURS = {POSES: "tab:blue", SPEED: "tab:orange", HELD: "tab:gray"}
RATIO_AT = 5
TIMED = 12  # frames on which the detector is timed


class _Straight(Tracker):
    """Hears nothing of the poses: constant speed."""

    def answered(self, result: FramePoses) -> None:
        """Do not learn."""


class _Still(_Straight):
    """Leaves boxes where they were detected."""

    def predict(self, stamp: int) -> Boxes:
        """The last update's."""
        return self._last


TRACKERS = {POSES: Tracker, SPEED: _Straight, HELD: _Still}


@dataclass(frozen=True)
class Row:
    """One way at one k; figures are means over the draws, errors standard errors over the clips of such means.

    overlap: mean of the boxes carried on with the true ones; gain: AP minus that with constant speed at the same k;
    loss: AP with a detection in every frame minus AP here.
    """

    way: str
    every: int
    figures: Figures
    overlap: float
    pipeline_ms: float  # a frame
    gain: float
    gain_error: float
    loss: float
    loss_error: float


def measure_all(
    bundle: Bundle, engine: Engine, scenes: Sequence[Scene], lookahead: int | None, clock: Clock, draws: int = 1
) -> list[Row]:
    """Every scene at every k in every way, with every draw of what the detector misses."""
    recorder = Recorder(engine)
    runs = {(every, way): Run() for every in EVERY for way in (TRACKERS if every > 1 else (POSES,))}
    Tracker().update(detected(scenes[0], 0), 0)  # imports the tracking library, which takes its seconds once
    for draw in range(draws):
        for scene in scenes:
            pipelines = [
                _pipeline(bundle, scene, PipelineConfig(lookahead, detect_every=every), way, recorder, draw)
                for every, way in runs
            ]
            play(scene, [None] * len(scene.frames), pipelines, list(runs.values()), recorder, clock)
    return _rows(runs, scenes, draws)


def _pipeline(
    bundle: Bundle, scene: Scene, config: PipelineConfig, way: str, engine: Engine, draw: int = 0
) -> Pipeline:
    by_image = {id(frame.image): number for number, frame in enumerate(scene.frames)}

    def detector(image: Image) -> Boxes:
        return detected(scene, by_image[id(image)], draw)

    pipeline = Pipeline(bundle, engine, config, detector)
    pipeline._tracker = TRACKERS[way](config.tracking)
    return pipeline


def _rows(runs: dict[tuple[int, str], Run], scenes: Sequence[Scene], draws: int) -> list[Row]:
    """Costs and accuracies, and how these lie to constant speed at the same k and to a detection in every frame."""
    alone = {key: _ap_of_clips(run, scenes) for key, run in runs.items()}
    whole = {key: _mean_figures(run, scenes, draws) for key, run in runs.items()}
    first = (EVERY[0], POSES)
    rows = []
    for (every, way), run in runs.items():
        straight, own = (every, SPEED if every > 1 else way), (every, way)
        rows.append(Row(
            way, every, whole[own], _overlap(run, scenes, every), 1e3 * run.seconds / run.frames,
            whole[own].ap - whole[straight].ap, standard_error(alone[own], alone[straight]),
            whole[first].ap - whole[own].ap, standard_error(alone[first], alone[own]),
        ))  # fmt: skip
    return rows


def _ap_of_clips(run: Run, scenes: Sequence[Scene]) -> list[float]:
    """Each clip's AP, the mean over its draws; a run's answers stand draw by draw."""
    return [
        float(np.mean([measure([scene.truth], [one]).ap for one in run.answers[number :: len(scenes)]]))
        for number, scene in enumerate(scenes)
    ]


def _mean_figures(run: Run, scenes: Sequence[Scene], draws: int) -> Figures:
    """Over all clips together, the mean over the draws."""
    truths, count = [scene.truth for scene in scenes], len(scenes)
    found = [measure(truths, run.answers[draw * count : (draw + 1) * count]) for draw in range(draws)]
    return Figures(**{name: float(np.mean([getattr(one, name) for one in found])) for name in asdict(found[0])})


def _overlap(run: Run, scenes: Sequence[Scene], every: int) -> float:
    """Intersection over union of every answered box with the true one it meets best, in frames without detection."""
    found = []
    for place, answers in enumerate(run.answers):
        scene = scenes[place % len(scenes)]
        for number, frame in enumerate(answers.frames):
            if (number % every or every == 1) and len(scene.boxes[number]) and frame.people:
                answered = np.stack([np.asarray(person.box, np.float32) for person in frame.people])
                found += overlaps(answered, scene.boxes[number].xywh).max(axis=1).tolist()
    return float(np.mean(found)) if found else float("nan")


def detector_ms(scenes: Sequence[Scene], clock: Clock) -> float:
    """Milliseconds of the person detector a frame: the median."""
    detector, times = PersonDetector(threads=1), []
    for number in range(TIMED):
        scene = scenes[number % len(scenes)]
        start = clock()
        detector(scene.frames[number % len(scene.frames)].image)
        times.append(clock() - start)
    return 1e3 * float(np.median(times))


def report(rows: Sequence[Row], detector: float) -> str:
    """A Markdown table."""
    header = ["detected every", "carried on by", "AP", "to every frame", "to constant speed", "PCKh", "wrists", "MOTA",
              "overlap", "pipeline, ms a frame", "with the detector"]  # fmt: skip
    cells = [
        [f"{r.every}", r.way if r.every > 1 else "-", f"{r.figures.ap:.1f}",
         f"{-r.loss:+.1f} ± {r.loss_error:.1f}" if r.every > 1 else "",
         f"{r.gain:+.1f} ± {r.gain_error:.1f}" if r.every > 1 and r.way != SPEED else "",
         f"{r.figures.pckh:.1f}", f"{r.figures.wrists:.1f}", f"{r.figures.mota:.1f}", f"{r.overlap:.3f}",
         f"{r.pipeline_ms:.1f}", f"{r.pipeline_ms + detector / r.every:.1f}"]
        for r in rows
    ]  # fmt: skip
    return table(header, cells) + f"\n\nPerson detector: {detector:.1f} ms a frame"


def plot(rows: Sequence[Row], detector: float, path: Path) -> None:
    """AP, overlap against k, and AP against what a frame costs with the detector, as a PNG."""
    figure = new_figure(13, 4.2)
    left, middle, right = figure.subplots(1, 3)
    for way in TRACKERS:
        own = [row for row in rows if row.way == way or row.every == 1]
        every, style = [row.every for row in own], {"marker": "o", "color": COLOURS[way], "label": way}
        ap = [row.figures.ap for row in own]
        left.errorbar(every, ap, [row.loss_error for row in own], capsize=2, **style)
        middle.plot(every, [row.overlap for row in own], **style)
        right.plot([row.pipeline_ms + detector / row.every for row in own], ap, **style)
        if way == POSES:
            for row in own:
                at = (row.pipeline_ms + detector / row.every, row.figures.ap)
                right.annotate(f"k = {row.every}", at, (5, -9), textcoords="offset points", fontsize=8)
    left.set(xlabel="detector in every k-th frame", ylabel="AP", xticks=EVERY)
    middle.set(xlabel="detector in every k-th frame", ylabel="overlap of carried boxes with true ones", xticks=EVERY)
    right.set(xlabel="processor time a frame with the detector, ms", ylabel="AP")
    left.legend(loc="lower left")
    figure.savefig(path, dpi=100)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; with --json and --plot also write figures and curve."""
    parser = options("detection_rate", "Accuracy and cost of a detector in every k-th frame.", frames=37, rounds=False)
    parser.add_argument("--people", type=int, default=4, help="people a clip (default: %(default)s)")
    parser.add_argument("--clips", type=int, default=24, help="clips, one a seed (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=2, help="of what is missed, a clip (default: %(default)s)")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the curves (PNG)")
    parser.set_defaults(threads=1, clock="cpu")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    rows, detector = _measured(args)
    print(report(rows, detector))
    if args.plot:
        plot(rows, detector, args.plot)
    if args.json:
        ap = {row.every: row.figures.ap for row in rows if row.way == POSES}
        content = {
            "ratio": ap[RATIO_AT] / max(ap[1], 1e-9),
            "detector_ms": detector,
            "rate": RATE,
            "rows": [asdict(row) for row in rows],
        }
        counts = {"clips": args.clips, "draws": args.draws, "people": args.people}
        write_json(args.json, content | counts | settings(args))


def _measured(args: argparse.Namespace) -> tuple[list[Row], float]:
    from sdtc_ros.engine.ort.host import OnnxEngine

    check_plot(args.plot)
    for name in ("clips", "draws"):
        if getattr(args, name) < 1:
            raise UsageError(f"--{name} must be at least 1, not {getattr(args, name)}")
    bundle, clock = begin(args), CLOCKS[args.clock]
    scenes = [render_scene(FIRST_SEED + number, args.frames, args.people) for number in range(args.clips)]
    rows = measure_all(bundle, OnnxEngine(bundle, threads=args.threads), scenes, args.lookahead, clock, args.draws)
    return rows, detector_ms(scenes, clock)


if __name__ == "__main__":
    sys.exit(main())
