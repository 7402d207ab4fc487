# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The live node, measured: recorded frames are sent to it as a camera would, its results recorded and evaluated.

Run by launch/evaluate.launch.py beside the node. Poses, bag and figures are written as `python -m sdtc_ros replay`
writes them, so that both can be compared frame for frame; what only a live node has (drops, latency) is in live.json.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdtc_ros.errors import InputError, PartialInputError, UsageError
from sdtc_ros.evaluate.replays import Accuracy, measure
from sdtc_ros.evaluate.result import write_json
from sdtc_ros.ground_truth.truth import Truth, read_truth
from sdtc_ros.io.boxes_file import external_boxes
from sdtc_ros.io.sources import Source
from sdtc_ros.models.bundle import Bundle, default_bundle, load_bundle
from sdtc_ros.replay.guard import StopRequest
from sdtc_ros.replay.outputs import EVALUATION, Outputs, Wanted, prepare_folder
from sdtc_ros.replay.statistics import RunStatistics
from sdtc_ros.tools.drive import DriveConfig, Driver
from sdtc_ros.tools.play_images import add_input_arguments, open_input, run_process
from sdtc_ros.tools.recording import Recording

NAME, LIVE = "evaluate_live", "live.json"


@dataclass
class LiveRun:
    """One evaluation: what was asked for, and what has come of it. stopped: the exit status of a request to end."""

    args: argparse.Namespace
    config: DriveConfig
    source: Source
    bundle: Bundle
    truth: Truth | None
    recording: Recording
    boxes: str
    stopped: int = 0
    accuracy: Accuracy | None = None
    files: dict[str, Path] = field(default_factory=dict)


def main(argv: list[str] | None = None) -> int:
    """Evaluate the node whose topics ours are; returns the exit status."""
    return run_process(sys.argv if argv is None else argv, NAME, _evaluate)


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=NAME, description="Send recorded frames to the live node and evaluate it.")
    add_input_arguments(parser)
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the results, created if missing")
    add("--overwrite", action="store_true", help="replace the results of an earlier run in DIR")
    add("--truth", type=Path, metavar="FILE", help="annotations (PoseTrack JSON file, or their folder): adds the AP")
    add("--boxes", metavar="WHICH", help="also send person boxes on `detections`: truth, or a .json file's")
    add(
        "--rate", type=float, default=0.0,
        help="playback speed relative to the recording; 0: as fast as the node publishes, no drops",
    )  # fmt: skip
    add("--node", default="sdtc_pose", help="the node's name (default %(default)s)")
    add("--bundle", default="", help="the node's model bundle (default: the one shipped with the package)")
    add("--lookahead", type=int, default=-1, help="the node's lookahead (default: the model's delta)")
    add("--video", action="store_true", help="write an annotated video too")
    add("--start-timeout", type=float, default=600.0, metavar="S", help="seconds to wait for the node (default 600)")
    add(
        "--timeout", "--patience", type=float, default=20.0, metavar="S",
        help="seconds after which a frame without poses counts as lost",
    )  # fmt: skip
    args = parser.parse_args(words)
    if args.rate < 0:
        raise UsageError("--rate must be 0 or more")
    return args


def _evaluate(words: list[str]) -> int:
    args, stop = _arguments(words), _stop_request()
    source = open_input(args)
    bundle = load_bundle(Path(args.bundle).expanduser() if args.bundle else default_bundle())
    names, length, skeleton = source.names, source.length, bundle.skeleton
    truth = read_truth(args.truth, source.name, skeleton, names, length, source.size) if args.truth else None
    boxes = external_boxes(args.boxes, source, truth) if args.boxes else None  # else the node finds them itself
    prepare_folder(args.out, args.overwrite, "--overwrite (to a ros2 launch: overwrite:=true)")
    outputs = Outputs(args.out, Wanted(video=args.video), source, bundle, truth)
    config = DriveConfig(
        rate=args.rate, lookahead=args.lookahead if args.lookahead >= 0 else bundle.delta, partner=args.node,
        timeout=args.timeout, start_timeout=args.start_timeout, transport=args.transport, clock=args.clock,
    )  # fmt: skip
    recording = Recording(outputs, RunStatistics(bundle.skeleton))
    run = LiveRun(args, config, source, bundle, truth, recording, boxes.what if boxes else "the node's detector")
    with outputs:
        Driver(NAME, config, recording, boxes).hold(source, stop)
    run.stopped, run.files = stop.status, outputs.files
    return _finish(run)


def _stop_request() -> StopRequest:
    """Ctrl-C becomes a flag, however often it comes: under `ros2 launch` twice, from the terminal and from launch."""
    request = StopRequest()

    def ask(number: int, _: object) -> None:
        request.status = request.status or 128 + number

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return request


def _finish(run: LiveRun) -> int:
    """Evaluate and report what was recorded; returns the exit status, or raises what the run ended with."""
    if run.truth and run.recording.answered:
        run.accuracy = measure(run.truth, run.files["poses"], run.recording.outputs.replayed)
        run.files["evaluation"] = run.args.out / EVALUATION
        write_json(run.accuracy.result, run.files["evaluation"])
    run.files["live"] = run.args.out / LIVE
    run.files["live"].write_text(json.dumps(_live_json(run), indent=1) + "\n", encoding="utf-8")
    _print(run)
    if run.stopped:
        return run.stopped
    if not run.recording.answered:
        raise InputError(f"none of the {run.recording.sent} frames got a result")
    problems = list(run.source.problems)
    if run.recording.dropped and not run.args.rate:
        problems.append(f"{len(run.recording.dropped)} of {run.recording.sent} frames got no answer")
    if problems:
        raise PartialInputError(f"{run.recording.answered} frames were evaluated, but {'; '.join(problems)}")
    return 0


def _live_json(run: LiveRun) -> dict[str, Any]:
    args = run.args
    about: dict[str, Any] = {
        "input": run.source.what, "model": run.bundle.name, "bundle": run.bundle.bundle_hash, "rate": args.rate,
        "lookahead": run.config.lookahead, "transport": args.transport, "boxes": run.boxes,
        "problems": run.source.problems,
    }  # fmt: skip
    if run.accuracy:
        about["ap"] = run.accuracy.result.ap["total"]
    return about | run.recording.summary()


def _print(run: LiveRun) -> None:
    """The run in a few lines on stdout."""
    figures = run.recording.summary()
    latency = figures.get("latency_ms")
    print(
        f"{figures['sent']} frames sent = {figures['answered']} answered + {figures['dropped']} dropped, "
        f"{figures['poses']} poses of {figures['tracks']} tracks"
    )
    if latency:
        pace = f"at {run.args.rate:g} times the recorded speed" if run.args.rate else "as fast as the node answered"
        waits = f"{run.config.lookahead} frames of lookahead included" if run.config.lookahead else "no lookahead"
        print(f"latency from image to poses p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms ({waits}), {pace}")
    if run.accuracy:
        print(run.accuracy.result.table())
    for role, path in run.files.items():
        print(f"{role + ':':12}{path}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
