# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m sdtc_ros replay INPUT --out DIR`: poses of recorded frames, and everything written about them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sdtc_ros.commands.arguments import (
    PIPELINE_OPTIONS,
    RUN_OPTIONS,
    add_options,
    detection,
    engine_config,
    pipeline_config,
)
from sdtc_ros.errors import PartialInputError, UsageError

if TYPE_CHECKING:
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
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the results, created if missing")
    add(
        "--truth", type=Path, metavar="FILE",
        help="annotations, PoseTrack's JSON: the file, or a folder with NAME.json for this input; adds the accuracy",
    )  # fmt: skip
    add_protocol(parser)
    add_options(parser, (*RUN_OPTIONS, *PIPELINE_OPTIONS))


def add_protocol(parser: argparse.ArgumentParser) -> None:
    """The argument that says by whose rules the accuracy is measured."""
    from sdtc_ros.evaluate import PROTOCOLS

    parser.add_argument(
        "--protocol", choices=list(PROTOCOLS), help="whose rules --truth is measured by (default: its data set's own)"
    )


def run(args: argparse.Namespace) -> int:
    """Replay and print what was written; raises SdtcError, a PartialInputError after everything is written."""
    from sdtc_ros.replay import replay

    result = replay(replay_options(args, args.source, args.truth), progress=not args.quiet)
    print_result(result)
    return exit_status(result)


def replay_options(args: argparse.Namespace, source: Path, truth: Path | None) -> ReplayOptions:
    """What RUN_OPTIONS and PIPELINE_OPTIONS say of an input; raises UsageError for an excerpt that is none."""
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
