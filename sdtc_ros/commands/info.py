# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m sdtc_ros info [BUNDLE]`: what a model bundle is, checked on the way."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdtc_ros.detection.person import holds_detector, read_detector
from sdtc_ros.models.bundle import default_bundle, load_bundle

_EPILOG = (
    "Prints skeleton, size of the crops, frames of a window (2 * delta + 1), files with sizes and hashes, and what "
    "training and export noted: provenance, accuracy and how far the graphs are from torch. Exit status: 0 sound, 4 "
    "the model cannot be used."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's arguments."""
    parser.add_argument(
        "bundle",
        nargs="?",
        type=Path,
        metavar="BUNDLE",
        help="a model's folder, as export writes it (default: the model shipped with the package)",
    )
    parser.epilog = _EPILOG


def run(args: argparse.Namespace) -> int:
    """Print the bundle's summary, or a person detector's; raises BundleError where it cannot be used."""
    folder = args.bundle or default_bundle()
    if holds_detector(folder):
        return _print_detector(folder)
    bundle = load_bundle(folder)
    width, height = bundle.input_size
    print(f"{bundle.name} ({bundle.folder})")
    print(f"  hash      {bundle.bundle_hash}")
    print(f"  skeleton  {bundle.skeleton.name}, {len(bundle.skeleton)} joints")
    print(f"  input     {width} x {height} crops, windows of {2 * bundle.delta + 1} frames (delta {bundle.delta})")
    print(f"  tokens    {', '.join(f'{name} {list(shape)}' for name, shape in bundle.tokens.items())} a crop")
    for name in bundle.files:
        print(f"  file      {name}, {(bundle.folder / name).stat().st_size / 1e6:.1f} MB, hash agrees")
    for name, precision in bundle.precisions.items():
        size = sum((bundle.folder / file).stat().st_size for file in bundle.files_of(name))
        print(f"  also in   {name}, {size / 1e6:.1f} MB; {_deviation(precision.deviation)}")
    for title, values in (("training", bundle.training), ("accuracy", bundle.accuracy), ("parity", bundle.parity)):
        _print_mapping(title, values, 1)
    return 0


def _print_detector(folder: Path) -> int:
    manifest = read_detector(folder)
    print(f"{manifest['name']} ({folder}), a person detector: no pose model")
    for name in manifest["files"]:
        print(f"  file      {name}, {(folder / name).stat().st_size / 1e6:.1f} MB, hash agrees")
    for title in ("source", "parity"):
        _print_mapping(title, manifest.get(title, {}), 1)
    print("  changed")
    for change in manifest.get("changed", []):
        print(f"    {change}")
    return 0


def _deviation(figures: Mapping[str, Any]) -> str:
    """How far a precision moves keypoints, in words."""
    try:
        return (
            f"keypoints against fp32: half within {figures['p50']:.2g} px, 99 % within {figures['p99']:.2g} px, "
            f"all within {figures['max']:.2g} px ({figures['joints']} joints)"
        )
    except (KeyError, TypeError, ValueError):
        return "how far its keypoints lie from those of fp32 is not told"


def _print_mapping(title: str, values: Mapping[str, Any], depth: int) -> None:
    if values:
        print(f"{'  ' * depth}{title}")
    for key, value in values.items():
        if isinstance(value, Mapping):
            _print_mapping(str(key), value, depth + 1)
        else:
            print(f"{'  ' * (depth + 1)}{key}: {f'{value:.6g}' if isinstance(value, float) else value}")
