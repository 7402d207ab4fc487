# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Model bundles: `python -m export CHECKPOINT --out FOLDER` writes one, `python -m export add BUNDLE` precisions to it.

`python -m export detector PACKAGE --out FOLDER` writes the person detector (export.detector).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sdtc_ros.errors import BundleError, SdtcError, UsageError
from sdtc_ros.models.bundle import Bundle
from sdtc_ros.options import PRECISIONS

DESCRIPTION = """\
Turn a checkpoint of training into a model bundle, the folder that the robot runs: encoder.onnx, temporal.onnx
(with .onnx.data files beside them for weights above 1.5 GB) and model.json, which says what they are.

The graphs are run in ONNX Runtime and compared with torch first. If they differ, nothing is written, and a bundle
that is already in the folder stays as it is. Then the same graphs are made in FP16 (for GPUs), INT8 (for CPUs) or
neither, and kept in the bundle where their keypoints lie close enough to those of FP32.

`python -m export add BUNDLE` does the last step alone, for a bundle that exists; it needs no checkpoint and no torch.
`python -m export detector PACKAGE` writes the person detector from NanoDet's published weights.
"""
EPILOG = """\
example:
  python -m export runs/sdtc-tiny/checkpoints/best.ckpt --out my-bundle
  python -m export add my-bundle --precisions int8
  python -m sdtc_ros info my-bundle
  python -m sdtc_ros replay drive.mcap --model my-bundle --out results

exit status: 0 written, 2 wrong arguments or a folder that cannot be written, 4 a checkpoint or bundle that cannot be
used, graphs that differ from torch, or a precision asked for that moves keypoints too far (the rest is written)
"""
ADD_DESCRIPTION = """\
Add graphs in other precisions to a model bundle, made from its own FP32 graphs: fp16 for GPUs (TensorRT, CUDA),
int8 for CPUs. They are kept where their keypoints, on synthetic people, lie close enough to those of FP32; what the
bundle has stays as it is. `python -m sdtc_ros info BUNDLE` tells how far they lie.
"""
ADD_EPILOG = """\
exit status: 0 added, 2 wrong arguments or a folder that cannot be written, 4 a bundle that cannot be used or a
precision that moves keypoints too far (the others are added)
"""
DETECTOR_EPILOG = """\
exit status: 0 written, 2 wrong arguments or a folder that cannot be written, 4 a package without the model, with a
damaged one or with another
"""
ADD_NEEDS = ("onnx", "onnxruntime")
NEEDS = ("torch", "onnxscript", *ADD_NEEDS)
EXTRA = PRECISIONS[1:]
SKELETONS = ("coco", "posetrack")
DEFAULT = ("fp16",)


def main(arguments: list[str] | None = None) -> int:
    """Export or add; exit status as in sdtc_ros.errors."""
    words = sys.argv[1:] if arguments is None else arguments
    command = words[0] if words[:1] in (["add"], ["detector"]) else ""
    parser, run = {"": (_parser, _export), "add": (_add_parser, _add), "detector": (_detector_parser, _detector)}[
        command
    ]
    args = parser().parse_args(words[1:] if command else words)
    try:
        return run(args)
    except SdtcError as error:
        print(f"export: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("export: stopped", file=sys.stderr)
        return 130


def _add_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export add", description=ADD_DESCRIPTION, epilog=ADD_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("bundle", type=Path, metavar="BUNDLE", help="a model bundle's folder")
    parser.add_argument(
        "--precisions", nargs="+", choices=EXTRA, default=DEFAULT, help="which to add or make again (default: fp16)"
    )
    return parser


def _detector_parser() -> argparse.ArgumentParser:
    from export import detector

    parser = argparse.ArgumentParser(
        prog="python -m export detector", description=detector.__doc__, epilog=DETECTOR_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    detector.add_arguments(parser)
    return parser


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export", description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT",
        help="a .ckpt file that training/train.py wrote, or published weights of ViTPose or MoveNet (docs/weights.md)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER",
        help="the bundle's folder, made where there is none; a bundle in it is replaced, other files beside it stay",
    )  # fmt: skip
    parser.add_argument("--name", help="the model's name in model.json (default: the folder's name)")
    parser.add_argument(
        "--accuracy", type=Path, metavar="JSON",
        help="a file with one JSON object of measured figures, kept in model.json beside the training's own validation",
    )  # fmt: skip
    parser.add_argument(
        "--precisions", nargs="*", choices=EXTRA,
        help="also as fp16 (half the size), int8, both, or none where nothing follows (default: fp16)",
    )  # fmt: skip
    parser.add_argument(
        "--half-weights", action="store_true",
        help="store all weights of the FP32 graphs in half precision, not only those that are exact in it, as "
        "MoveNet's are; computed in FP32 all the same",
    )  # fmt: skip
    parser.add_argument(
        "--skeleton", choices=SKELETONS, help="of MoveNet's files alone: which joints (default: coco)"
    )  # fmt: skip
    parser.add_argument(
        "--input-size", type=_size, metavar="WIDTHxHEIGHT",
        help="of MoveNet's files alone: a crop's size, multiples of 32 (default: what measured best)",
    )  # fmt: skip
    return parser


def _size(word: str) -> tuple[int, int]:
    """`192x256` -> (192, 256)."""
    width, _, height = word.partition("x")
    return int(width), int(height)


def _add(args: argparse.Namespace) -> int:
    _check_needs(ADD_NEEDS)
    return _add_precisions(args.bundle, args.precisions)


def _detector(args: argparse.Namespace) -> int:
    from export import detector

    return detector.run(args)


def _add_precisions(folder: Path, wanted: Sequence[str], loaded: Bundle | None = None) -> int:
    """Add them and say what became of each; 4 where one was refused."""
    from export.precisions import add_precisions

    bundle, results = add_precisions(folder, wanted, bundle=loaded)
    for made in results:
        if made.refusal:
            print(f"export: {made.precision} is not in {folder}: {made.refusal}", file=sys.stderr)
        else:
            size = sum((bundle.folder / name).stat().st_size for name in bundle.files_of(made.precision))
            print(f"{made.precision} ({size / 1e6:.1f} MB) against FP32: {made.deviation}")
    return BundleError.exit_status if any(made.refusal for made in results) else 0


def _check_needs(needs: Sequence[str]) -> None:
    missing = [name for name in needs if find_spec(name) is None]
    if missing:
        raise UsageError(f"export needs {', '.join(missing)}: pip install 'sdtc_ros[export]'")


def _export(args: argparse.Namespace) -> int:
    accuracy = _read_accuracy(args.accuracy) if args.accuracy else {}
    _check_needs(NEEDS)
    from export.bundle import export_bundle  # torch is slow to import: --help need not wait for it
    from training.checkpoint import MoveNetChoice

    bundle, parity = export_bundle(
        args.checkpoint, args.out, args.name or args.out.resolve().name, accuracy,
        movenet=MoveNetChoice(args.skeleton, args.input_size), half_weights=args.half_weights,
    )  # fmt: skip
    size = sum((bundle.folder / name).stat().st_size for name in bundle.files)
    print(f"wrote {args.out} ({bundle.name}, {size / 1e6:.1f} MB)")
    print(
        f"parity with torch over {parity.windows} windows: keypoints {parity.keypoints_px:.2g} px, "
        f"scores {parity.scores:.2g}, heatmaps {parity.heatmaps:.2g}, tokens {parity.tokens:.2g}, "
        f"covariance {parity.covariance:.2g}; {parity.undecided} of {parity.joints} joints could not be compared"
    )
    wanted = DEFAULT if args.precisions is None else args.precisions
    status = _add_precisions(args.out, wanted, bundle) if wanted else 0
    return status if args.precisions else 0  # what nobody asked for need not hold


def _read_accuracy(path: Path) -> dict[str, Any]:
    """The object in a JSON file; raises UsageError for a file that is missing, broken or holds anything else."""
    try:
        accuracy = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except OSError as error:
        raise UsageError(f"--accuracy {path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--accuracy {path} is not valid JSON ({error})") from error
    if not isinstance(accuracy, dict):
        raise UsageError(f"--accuracy {path} must hold a JSON object of figures, not a {type(accuracy).__name__}")
    if "validation" in accuracy:
        raise UsageError(f"--accuracy {path} uses the reserved key 'validation': rename it")
    return accuracy


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is not a JSON number")


if __name__ == "__main__":
    sys.exit(main())
