# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m sdtc_ros demo --out DIR`: people drawn by ourselves, recorded as a bag, replayed against their truth.

The person boxes are the truth's by default, given to the pipeline from outside: the figure then tells how accurate
the poses are, and not how well a detector for photographed people sees drawn ones (--detector person tells that).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from sdtc_ros.commands.replay import (
    add_pipeline_arguments,
    detection,
    engine_config,
    exit_status,
    pipeline_config,
    print_result,
)
from sdtc_ros.errors import UsageError

if TYPE_CHECKING:
    from sdtc_ros.synthetic import Clip

SEED = 2_000_000_026  # training draws from under 1e9, validation and parity from under 2e9
START = 1_790_000_000_000_000_000  # the first frame's stamp, nanoseconds: a camera's clock, not a count from zero
TOPIC, FRAME_ID = "/camera/image_raw/compressed", "camera_optical_frame"
NAME, _INPUT = "demo", "demo_input"

_EPILOG = (
    "People are drawn, so nothing is downloaded. By default the person boxes are the truth's: the accuracy is then "
    "that of the poses alone. DIR holds the input (demo_input/) and what a replay writes: open report.html. Exit "
    "status: 0 done, 2 wrong arguments or a DIR that cannot be used, 4 the model cannot be used."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's arguments."""
    add = parser.add_argument
    add(
        "--out", type=Path, required=True, metavar="DIR",
        help="folder for the bag and the results; that of an earlier demo is used again",
    )  # fmt: skip
    add(
        "--seed", type=int, default=SEED, metavar="N",
        help="which scene is drawn (default %(default)s); training and validation take theirs from under 2000000000",
    )  # fmt: skip
    add("--frames", type=int, default=100, metavar="N", help="length of the clip (default %(default)s)")
    add("--people", type=int, default=4, metavar="N", help="how many walk about (default %(default)s)")
    add("--no-video", action="store_true", help="write no annotated video")
    add("--quiet", action="store_true", help="show no progress")
    add_pipeline_arguments(parser)
    parser.set_defaults(detector="truth")
    parser.epilog = _EPILOG


def run(args: argparse.Namespace) -> int:
    """Make the clip, replay it, print the accuracy and where the report lies; raises SdtcError."""
    from sdtc_ros.replay import ReplayOptions, check, replay
    from sdtc_ros.replay.outputs import Wanted, prepare_folder, results_in
    from sdtc_ros.synthetic import SceneConfig, render_clip

    if args.frames < 1 or args.people < 1 or args.seed < 0:
        raise UsageError("--frames and --people must be 1 or more, --seed 0 or more")
    again = (args.out / _INPUT).is_dir()  # the folder of an earlier demo may be used again, no other
    if not again and results_in(args.out):
        raise UsageError(f"{args.out} holds results that are no demo's; name another folder")
    bag, truth = _input_paths(args.out / _INPUT)
    options = ReplayOptions(
        source=bag, out=args.out, model=args.model, truth=truth, detector=args.detector,
        detection=detection(args), pipeline=pipeline_config(args), engine=engine_config(args),
        wanted=Wanted(video=not args.no_video), overwrite=again,
    )  # fmt: skip
    check(options)
    prepare_folder(args.out, overwrite=again)
    clip = render_clip(SceneConfig(frames=args.frames, people=(args.people, args.people)), args.seed)
    write_demo_input(args.out / _INPUT, clip)
    print(f"input:      {bag} ({args.frames} frames, {args.people} synthetic people, seed {args.seed})")
    result = replay(options, progress=not args.quiet)
    print_result(result)
    if result.accuracy:
        print(f"AP {result.accuracy.result.ap['total']:.1f} with {result.boxes}; open {result.files['report']}")
    return exit_status(result)


def _input_paths(folder: Path) -> tuple[Path, Path]:
    return folder / NAME, folder / f"{NAME}.json"


def write_demo_input(folder: Path, clip: Clip) -> tuple[Path, Path]:
    """Write a clip to `folder` as a bag of JPEG images and a PoseTrack18 annotation file; returns both paths."""
    from sdtc_ros.io.bag import BagWriter
    from sdtc_ros.replay.outputs import remove_results
    from sdtc_ros.synthetic import posetrack18_truth
    from sdtc_ros.types import Frame

    bag, truth = _input_paths(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if bag.exists():
        remove_results(bag)
    with BagWriter(bag) as writer:
        for number, image in enumerate(clip.frames):
            writer.write_image(TOPIC, Frame(image, START + round(number * 1e9 / clip.fps), FRAME_ID))
    truth.write_text(json.dumps(posetrack18_truth(clip, f"images/val/{NAME}")))
    return bag, truth
