# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m sdtc_ros replay INPUT --out DIR`: poses of recorded frames, and everything written about them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdtc_ros.detection.factory import START_SCORE, DetectorConfig
from sdtc_ros.errors import PartialInputError, UsageError
from sdtc_ros.options import BOXES, ONNX, PERSON, PRECISION, PROVIDER, TRUTH, detectors_about

if TYPE_CHECKING:
    from sdtc_ros.engine.select import EngineConfig
    from sdtc_ros.pipeline.pipeline import PipelineConfig
    from sdtc_ros.replay import ReplayOptions, ReplayResult

_EPILOG = """\
examples:
  python -m sdtc_ros replay video.mp4 --out out/video
  python -m sdtc_ros replay bag/ --out out/bag --topic /camera/image_raw --detector detector.onnx

DIR then holds poses_bag/ (ros2 bag play), posetrack/NAME.json (PoseTrack18), annotated.mp4, report.html, result.json
(what came of it) and, with --truth, evaluation.json. Exit status: 0 done, 2 wrong arguments, 3 the input cannot be
used, 4 the model cannot be used, 5 the input was damaged or cut short and what could be read is written, 130 (Ctrl-C)
or 143 (SIGTERM) stopped and the same.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's arguments."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("source", type=Path, metavar="INPUT", help="a rosbag2 (folder, .mcap, .db3), a video, a folder of images")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the results, made where it is missing")
    add(
        "--truth", type=Path, metavar="FILE",
        help="annotations, PoseTrack's JSON: the file, or a folder with NAME.json for this input; adds the accuracy",
    )  # fmt: skip
    add_protocol(parser)
    add_run_arguments(parser)


def add_protocol(parser: argparse.ArgumentParser) -> None:
    """The argument that says by whose rules the accuracy is measured."""
    from sdtc_ros.evaluate import PROTOCOLS

    parser.add_argument(
        "--protocol", choices=list(PROTOCOLS), help="whose rules --truth is measured by (default: its data set's own)"
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The arguments that say how an input is replayed, whichever it is; returns them."""
    actions: list[argparse.Action] = []
    add = _collecting(parser, actions)
    add("--overwrite", action="store_true", help="replace the results of an earlier replay in DIR")
    add("--topic", metavar="TOPIC", help="the bag's image topic; needed where it has several")
    add("--start", type=int, default=0, metavar="N", help="number of the first frame (default 0)")
    add("--frames", type=int, metavar="N", help="how many frames (default: to the end)")
    add(
        "--fps",
        type=float,
        metavar="HZ",
        help="frame rate of a folder of images (default 25), or in place of the video's own",
    )
    add(
        "--rotate", type=int, choices=[0, 90, 180, 270], default=0, metavar="DEGREES",
        help="0, 90, 180 or 270: turn the images clockwise before people are looked for, where the camera was mounted "
        "turned; what is written stays as the camera saw it",
    )  # fmt: skip
    add(
        "--depth", nargs="?", const="auto", default="", metavar="TOPIC",
        help="also give joints in metres, with the bag's depth images that are registered to the colour images "
        "(without TOPIC: its only depth topic)",
    )  # fmt: skip
    add(
        "--camera-info", default="auto", metavar="TOPIC",
        help="the colour camera's camera_info (default: the one beside the depth, or the bag's only one)",
    )  # fmt: skip
    add("--no-bag", action="store_true", help="write no bag of poses")
    add("--no-video", action="store_true", help="write no annotated video")
    add("--bag-images", action="store_true", help="also write the annotated frames into the bag")
    add("--quiet", action="store_true", help="show no progress")
    return actions + add_pipeline_arguments(parser)


def add_pipeline_arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The arguments that choose model, boxes and settings of the pipeline; returns them."""
    actions: list[argparse.Action] = []
    add = _collecting(parser, actions)
    add(
        "--model",
        type=Path,
        metavar="BUNDLE",
        help="folder of a model, as export writes it (default: the one shipped with the package)",
    )
    add(
        "--detector",
        "--boxes",
        default=PERSON,
        metavar="WHICH",
        help=f"{detectors_about((PERSON, ONNX, BOXES, TRUTH))}; default %(default)s; both names are one option",
    )
    add(
        "--detector-size", type=int, default=DetectorConfig.size, metavar="PX",
        help="of the shipped detector: the image's longer side is scaled to it, a multiple of 32 (default %(default)s; "
        "608 for people who are far away, at twice the time)",
    )  # fmt: skip
    add(
        "--person-class", default="", metavar="NAME",
        help="with PATH.onnx: name or index of the class that is a person (default: the one that the file names so)",
    )  # fmt: skip
    add(
        "--start-score", type=float, default=START_SCORE, metavar="SCORE",
        help="boxes scored from here on start a track (default %(default)s); those of weaker ones only continue one",
    )  # fmt: skip
    add(
        "--continue-score", type=float, default=DetectorConfig.min_score, metavar="SCORE",
        help="what a detector scores lower is dropped (default %(default)s)",
    )  # fmt: skip
    add(
        "--lookahead", type=int, metavar="N",
        help="frames seen beyond the one that is answered, 0 to the model's delta (default: delta, as `info` says it)",
    )  # fmt: skip
    add(
        "--crop-drift-threshold", "--sticky", type=float, metavar="PART",
        help="how far a person may drift, as a part of the box's size, before a new crop is encoded (default 0.1); "
        "0: a new crop for every frame, as in the papers, slower",
    )  # fmt: skip
    add(
        "--max-people", type=int, metavar="N",
        help="how many people a frame has at most: the best scored boxes (default 64); what is left out is said",
    )  # fmt: skip
    add("--detect-every", type=int, metavar="K", help="ask the detector in every K-th frame only (default 1)")
    for choice in (PROVIDER, PRECISION):
        about = f"{choice.about}; default %(default)s"
        add(f"--{choice.name}", choices=choice.words, default=choice.default, help=about)
    add("--allow-cpu", action="store_true", help="run on the CPU where the provider cannot be had")
    add("--threads", type=int, default=0, metavar="N", help="threads of ONNX Runtime (default: its own choice)")
    return actions


def _collecting(parser: argparse.ArgumentParser, actions: list[argparse.Action]) -> Callable[..., None]:
    """The parser's add_argument, which also notes in `actions` what it added."""

    def add(*names: str, **how: Any) -> None:
        actions.append(parser.add_argument(*names, **how))

    return add


def run(args: argparse.Namespace) -> int:
    """Replay and print what was written; raises SdtcError, a PartialInputError after everything is written."""
    from sdtc_ros.replay import replay

    result = replay(replay_options(args, args.source, args.truth), progress=not args.quiet)
    print_result(result)
    return exit_status(result)


def replay_options(args: argparse.Namespace, source: Path, truth: Path | None) -> ReplayOptions:
    """What the arguments of `add_run_arguments` say of an input; raises UsageError for an excerpt that is none."""
    from sdtc_ros.io.sources import Excerpt
    from sdtc_ros.replay import ReplayOptions
    from sdtc_ros.replay.lifting import DepthOptions
    from sdtc_ros.replay.outputs import Wanted

    if args.start < 0 or (args.frames is not None and args.frames < 1):
        raise UsageError("--start must be 0 or more, and --frames 1 or more")
    return ReplayOptions(
        source=source, out=args.out, model=args.model, topic=args.topic, truth=truth,
        detector=args.detector, detection=detection(args), fps=args.fps, excerpt=Excerpt(args.start, args.frames),
        pipeline=pipeline_config(args),
        engine=engine_config(args), overwrite=args.overwrite, rotate=args.rotate, protocol=args.protocol,
        depth=DepthOptions(args.depth, args.camera_info),
        wanted=Wanted(not args.no_bag, not args.no_video, args.bag_images),
    )  # fmt: skip


def detection(args: argparse.Namespace) -> DetectorConfig:
    """The detector's settings; raises UsageError for a score outside 0 to 1."""
    _check_score("--continue-score", args.continue_score)
    return DetectorConfig(size=args.detector_size, min_score=args.continue_score, person_class=args.person_class)


def _check_score(name: str, score: float) -> None:
    if not 0 < score <= 1:
        raise UsageError(f"{name} must be > 0 and <= 1, got {score}")


def pipeline_config(args: argparse.Namespace) -> PipelineConfig:
    """The pipeline's settings, its own defaults where an argument was not given."""
    from sdtc_ros.pipeline.pipeline import PipelineConfig
    from sdtc_ros.tracking.tracker import TrackingConfig

    _check_score("--start-score", args.start_score)
    tracking = TrackingConfig(start_score=args.start_score)
    given = {
        "lookahead": args.lookahead,
        "crop_drift_threshold": args.crop_drift_threshold,
        "detect_every": args.detect_every,
        "max_people": args.max_people,
    }
    return PipelineConfig(tracking=tracking, **{name: value for name, value in given.items() if value is not None})


def engine_config(args: argparse.Namespace) -> EngineConfig:
    """What the model runs on."""
    from sdtc_ros.engine.select import EngineConfig

    return EngineConfig(args.provider, args.precision, args.threads, args.allow_cpu)


def print_result(result: ReplayResult) -> None:
    """The run in a few lines on stdout."""
    statistics = result.statistics
    people = sum(statistics.people)
    print(
        f"{result.frames} frames, {people} poses of {len(statistics.tracks)} tracks in {statistics.wall:.1f} s "
        f"({result.frames / max(statistics.wall, 1e-9):.1f} frames a second; boxes: {result.boxes})"
    )
    if result.accuracy:
        print(result.accuracy.result.table())
    for note in result.notes:
        print(f"note: {note}")
    for role, path in result.files.items():
        print(f"{role + ':':12}{path}")


def exit_status(result: ReplayResult) -> int:
    """0 or what a stop asks for; raises PartialInputError where a part of the input was lost."""
    if result.stopped:
        return result.stopped
    if result.problems:
        lost = "; ".join(result.problems)
        raise PartialInputError(f"{result.frames} frames were processed and written, with problems: {lost}")
    return 0
