# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m sdtc_ros evaluate`: accuracy of predicted poses against an annotated data set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdtc_ros.errors import InputError
from sdtc_ros.evaluate import PROTOCOLS, Protocol, protocol_by_name
from sdtc_ros.evaluate.joints3d import evaluate_3d, table
from sdtc_ros.evaluate.replays import evaluate_shared
from sdtc_ros.evaluate.result import write_figures, write_json
from sdtc_ros.evaluate.sequences3d import frames_in_space
from sdtc_ros.ground_truth.fingerprint import fingerprint
from sdtc_ros.ground_truth.hieve import read_hieve_folder
from sdtc_ros.ground_truth.posetrack import read_folder
from sdtc_ros.ground_truth.sequence import Sequence
from sdtc_ros.skeleton import POSETRACK

SPACE = "3d"
HELP = "compare predicted poses with annotated ones: AP, precision, recall, MOTA"
_EPILOG = (
    "Prints a table in the papers' columns: AP, precision and recall by joint, MOTA. A single recording is evaluated "
    "at once by `replay INPUT --out DIR --truth FILE`. Exit status: 0 done, 2 wrong arguments, 3 a file cannot be used."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's arguments."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--truth", type=Path, required=True, metavar="DIR",
        help="folder of annotations: a JSON file a sequence (hieve: a folder of XML files a video)",
    )  # fmt: skip
    parser.add_argument(
        "--predictions", type=Path, required=True, metavar="DIR",
        help="folder of predictions: a JSON file a sequence, of the same name; a replay writes its own to posetrack/",
    )  # fmt: skip
    parser.add_argument(
        "--protocol", choices=[*PROTOCOLS, SPACE], default="posetrack18",
        help="whose rules and joints: which frames and joints count differs (default %(default)s); 3d: joints "
        "in metres, of annotations and predictions with joints_3d",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures, by joint, to this file")
    parser.add_argument(
        "--ties",
        choices=["stable", "poseval"],
        default="stable",
        help="order of joints with equal scores: that of the files (default), or as the official program leaves it, "
        "which depends on the machine and on the order in which the folder lists its files",
    )


def run(args: argparse.Namespace) -> int:
    """Print the table and write the JSON; raises SdtcError for input that cannot be used."""
    if args.json is not None and not args.json.absolute().parent.is_dir():
        raise InputError(f"{args.json} cannot be written: the folder {args.json.absolute().parent} does not exist")
    if args.protocol == SPACE:
        return _run_in_space(args)
    protocol = protocol_by_name(args.protocol)
    ordered = args.ties == "stable"
    predictions = read_folder(args.predictions, protocol.skeleton, ordered, own=True)
    result = evaluate_shared(_read_truth(args.truth, protocol, ordered), predictions, protocol, args.ties)
    for warning in result.warnings:
        print(f"sdtc_ros: warning: {warning}", file=sys.stderr)
    print(f"truth: {args.truth}, fingerprint {fingerprint(args.truth)}")
    print(result.table())
    if args.json is not None:
        write_json(result, args.json)
    return 0


def _run_in_space(args: argparse.Namespace) -> int:
    """Print MPJPE, PCK and what the covariances are worth, of joints in metres."""
    truth, predictions = (read_folder(folder, POSETRACK, True) for folder in (args.truth, args.predictions))
    figures = evaluate_3d(frames_in_space(truth, predictions))
    if not figures:
        raise InputError(f"{args.truth} has no 3-D joint in any frame that {args.predictions} also has")
    print(table(figures))
    if args.json is not None:
        write_figures({"protocol": SPACE, "joints": {name: one.to_json() for name, one in figures.items()}}, args.json)
    return 0


def _read_truth(folder: Path, protocol: Protocol, ordered: bool) -> list[Sequence]:
    if protocol.name == "hieve":
        return read_hieve_folder(folder)
    return read_folder(folder, protocol.skeleton, ordered)
