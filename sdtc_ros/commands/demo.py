# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m sdtc_ros demo --out DIR`: the clip that ships, recorded as a bag, replayed against its truth.

The people are synthetic, so their truth is exact, and nothing is downloaded. They are found as in any recording, by the
person detector; with --detector truth the boxes are the truth's, and the figure tells how accurate the poses are alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sdtc_ros.commands.arguments import PIPELINE_OPTIONS, add_options, detection, engine_config, pipeline_config
from sdtc_ros.commands.replay import exit_status, print_result
from sdtc_ros.errors import UsageError

if TYPE_CHECKING:
    from sdtc_ros.demo import Clip

START = 1_790_000_000_000_000_000  # the first frame's stamp, nanoseconds: a camera's clock, not a count from zero
TOPIC, FRAME_ID = "/camera/image_raw/compressed", "camera_optical_frame"
NAME, _INPUT = "demo", "demo_input"

_EPILOG = (
    "The clip of synthetic people ships with the package: nothing is downloaded. With --detector truth the person "
    "boxes are the truth's: the accuracy is then that of the poses alone. DIR holds the input (demo_input/) and what a "
    "replay writes: open report.html. Exit status: 0 done, 2 wrong arguments or a DIR that cannot be used, 4 the "
    "model cannot be used."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's arguments."""
    add = parser.add_argument
    add(
        "--out", type=Path, required=True, metavar="DIR",
        help="folder for the bag and the results; an earlier demo's is reused",
    )  # fmt: skip
    add("--frames", type=int, metavar="N", help="only the first N frames (default: all 100)")
    add("--no-video", action="store_true", help="do not write the annotated video")
    add("--quiet", action="store_true", help="do not show progress")
    add_options(parser, PIPELINE_OPTIONS)
    parser.epilog = _EPILOG


def run(args: argparse.Namespace) -> int:
    """Unpack the clip, replay it, print the accuracy and where the report lies; raises SdtcError."""
    from sdtc_ros.demo import demo_clip
    from sdtc_ros.replay import ReplayOptions, check, replay
    from sdtc_ros.replay.outputs import Wanted, prepare_folder, results_in

    if args.frames is not None and args.frames < 1:
        raise UsageError("--frames must be 1 or more")
    again = (args.out / _INPUT).is_dir()  # the folder of an earlier demo may be used again, no other
    if not again and results_in(args.out):
        raise UsageError(f"{args.out} holds results that are not from a demo; choose another folder")
    bag, truth = _input_paths(args.out / _INPUT)
    options = ReplayOptions(
        source=bag, out=args.out, model=args.model, truth=truth, detector=args.detector,
        detection=detection(args), pipeline=pipeline_config(args), engine=engine_config(args),
        wanted=Wanted(video=not args.no_video), overwrite=again,
    )  # fmt: skip
    check(options)
    prepare_folder(args.out, overwrite=again)
    clip = demo_clip(args.frames)
    write_demo_input(args.out / _INPUT, clip)
    print(f"input:      {bag} ({len(clip.frames)} frames, {len(clip.track_ids)} synthetic people)")
    result = replay(options, progress=not args.quiet)
    print_result(result)
    if result.accuracy:
        print(f"AP {result.accuracy.result.ap['total']:.1f} with {result.boxes}; open {result.files['report']}")
    return exit_status(result)


def _input_paths(folder: Path) -> tuple[Path, Path]:
    return folder / NAME, folder / f"{NAME}.json"


def write_demo_input(folder: Path, clip: Clip) -> tuple[Path, Path]:
    """Write a clip to `folder` as a bag of JPEG images and a PoseTrack18 annotation file; returns both paths."""
    from sdtc_ros.demo import clip_sequence
    from sdtc_ros.ground_truth.posetrack_write import write_sequence
    from sdtc_ros.io.bag import BagWriter
    from sdtc_ros.replay.outputs import remove_results
    from sdtc_ros.types import Frame

    bag, truth = _input_paths(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if bag.exists():
        remove_results(bag)
    with BagWriter(bag) as writer:
        for number, image in enumerate(clip.frames):
            writer.write_image(TOPIC, Frame(image, START + round(number * 1e9 / clip.fps), FRAME_ID))
    write_sequence(clip_sequence(clip, NAME, f"images/val/{NAME}"), truth)
    return bag, truth
