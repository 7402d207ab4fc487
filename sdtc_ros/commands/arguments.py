# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The options that replay, batch and demo share, in tables, and the settings that they stand for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdtc_ros.detection.factory import START_SCORE, DetectorConfig
from sdtc_ros.errors import UsageError
from sdtc_ros.options import BOXES, ONNX, PERSON, PRECISION, PROVIDER, TRUTH, Choice, detectors_about

if TYPE_CHECKING:
    from sdtc_ros.engine.select import EngineConfig
    from sdtc_ros.pipeline.pipeline import PipelineConfig


@dataclass(frozen=True)
class Option:
    """What `ArgumentParser.add_argument` is given."""

    names: tuple[str, ...]
    how: dict[str, Any]


def _option(*names: str, **how: Any) -> Option:
    return Option(names, how)


def _choice(choice: Choice) -> Option:
    about = f"{choice.about}; default %(default)s"
    return _option(f"--{choice.name}", choices=choice.words, default=choice.default, help=about)


def add_options(parser: argparse.ArgumentParser, options: Sequence[Option]) -> list[argparse.Action]:
    """Give the parser these options; returns what it made of them."""
    return [parser.add_argument(*option.names, **option.how) for option in options]


# how an input is replayed, whichever it is
RUN_OPTIONS = (
    _option("--overwrite", action="store_true", help="replace the results of an earlier replay in DIR"),
    _option("--topic", metavar="TOPIC", help="the bag's image topic; required if it has several"),
    _option("--start", type=int, default=0, metavar="N", help="number of the first frame (default 0)"),
    _option("--frames", type=int, metavar="N", help="how many frames (default: to the end)"),
    _option(
        "--fps",
        type=float,
        metavar="HZ",
        help="frame rate of a folder of images (default 25), or instead of the video's own",
    ),
    _option(
        "--rotate", type=int, choices=[0, 90, 180, 270], default=0, metavar="DEGREES",
        help="0, 90, 180 or 270: rotate the images clockwise before detection, for a camera that was mounted "
        "rotated; results refer to the camera's own image",
    ),
    _option(
        "--depth", nargs="?", const="auto", default="", metavar="TOPIC",
        help="also estimate joints in metres, from the bag's depth images registered to the colour images "
        "(without TOPIC: its only depth topic)",
    ),
    _option(
        "--camera-info", default="auto", metavar="TOPIC",
        help="the colour camera's camera_info (default: the one beside the depth, or the bag's only one)",
    ),
    _option("--no-bag", action="store_true", help="do not write the bag of poses"),
    _option("--no-video", action="store_true", help="do not write the annotated video"),
    _option("--bag-images", action="store_true", help="also write the annotated frames to the bag"),
    _option("--quiet", action="store_true", help="do not show progress"),
)  # fmt: skip

# model, boxes and settings of the pipeline
PIPELINE_OPTIONS = (
    _option(
        "--model",
        type=Path,
        metavar="BUNDLE",
        help="folder of a model, as export writes it (default: the one shipped with the package)",
    ),
    _option(
        "--detector",
        "--boxes",
        default=PERSON,
        metavar="WHICH",
        help=f"{detectors_about((PERSON, ONNX, BOXES, TRUTH))}; default %(default)s; both names are one option",
    ),
    _option(
        "--detector-size", type=int, default=DetectorConfig.size, metavar="PX",
        help="shipped detector: pixels of the longer side that images are scaled to, a multiple of 32 (default "
        "%(default)s; 608 for distant people, at twice the time)",
    ),
    _option(
        "--person-class", default="", metavar="NAME",
        help="with PATH.onnx: name or index of the person class (default: the one that the file's metadata names)",
    ),
    _option(
        "--start-score", type=float, default=START_SCORE, metavar="SCORE",
        help="minimum score of a box that starts a track (default %(default)s); weaker ones only continue one",
    ),
    _option(
        "--continue-score", type=float, default=DetectorConfig.min_score, metavar="SCORE",
        help="boxes that the detector scores lower are dropped (default %(default)s)",
    ),
    _option(
        "--lookahead", type=int, metavar="N",
        help="later frames that a keyframe waits for, 0 to the model's delta (default: delta, see `info`)",
    ),
    _option(
        "--crop-drift-threshold", "--sticky", type=float, metavar="PART",
        help="how far a person may drift, as a part of the box's size, before a new crop is encoded (default 0.1); "
        "0: a new crop for every frame, as in the papers, slower",
    ),
    _option(
        "--max-people", type=int, metavar="N",
        help="maximum number of people in a frame: the best scored, who has a pose ahead of who has none (default 64); "
        "surplus boxes are reported",
    ),
    _option("--detect-every", type=int, metavar="K", help="run the detector on every K-th frame only (default 1)"),
    _choice(PROVIDER),
    _choice(PRECISION),
    _option("--allow-cpu", action="store_true", help="run on the CPU where the provider is not available"),
    _option("--threads", type=int, default=0, metavar="N", help="threads of ONNX Runtime (default: its own choice)"),
)  # fmt: skip


def detection(args: argparse.Namespace) -> DetectorConfig:
    """The detector's settings; raises UsageError for a score outside 0 to 1."""
    _check_score("--continue-score", args.continue_score)
    return DetectorConfig(size=args.detector_size, min_score=args.continue_score, person_class=args.person_class)


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


def _check_score(name: str, score: float) -> None:
    if not 0 < score <= 1:
        raise UsageError(f"{name} must be > 0 and <= 1, got {score}")
