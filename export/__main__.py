# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m export CHECKPOINT --out FOLDER`: write a model bundle, print the parity report."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sdtc_ros.errors import SdtcError, UsageError

DESCRIPTION = """\
Turn a checkpoint of training into a model bundle, the folder that the robot runs: encoder.onnx, temporal.onnx
(with .onnx.data files beside them for weights above 1.5 GB) and model.json, which says what they are.

The graphs are run in ONNX Runtime and compared with torch first. If they differ, nothing is written, and a bundle
that is already in the folder stays as it is.
"""
EPILOG = """\
example:
  python -m export runs/sdtc-tiny/checkpoints/best.ckpt --out my-bundle
  python -m sdtc_ros info my-bundle
  python -m sdtc_ros replay drive.mcap --model my-bundle --out results

exit status: 0 written, 2 wrong arguments or a folder that cannot be written, 4 a checkpoint that cannot be used or
graphs that differ from torch
"""
NEEDS = ("torch", "onnx", "onnxscript", "onnxruntime")


def main(arguments: list[str] | None = None) -> int:
    """Export; exit status as in sdtc_ros.errors."""
    args = _parser().parse_args(arguments)
    try:
        return _export(args)
    except SdtcError as error:
        print(f"export: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("export: stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export", description=DESCRIPTION, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "checkpoint", type=Path, metavar="CHECKPOINT",
        help="a .ckpt file that training/train.py wrote, or ViTPose weights as published (see docs/weights.md)",
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
    return parser


def _export(args: argparse.Namespace) -> int:
    accuracy = _read_accuracy(args.accuracy) if args.accuracy else {}
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        raise UsageError(f"export needs {', '.join(missing)}: pip install 'sdtc_ros[export]'")
    from export.bundle import export_bundle  # torch is slow to import: --help need not wait for it

    bundle, parity = export_bundle(args.checkpoint, args.out, args.name or args.out.resolve().name, accuracy)
    size = sum((bundle.folder / name).stat().st_size for name in bundle.files)
    print(f"wrote {args.out} ({bundle.name}, {size / 1e6:.1f} MB)")
    print(
        f"parity with torch over {parity.windows} windows: keypoints {parity.keypoints_px:.2g} px, "
        f"scores {parity.scores:.2g}, heatmaps {parity.heatmaps:.2g}, tokens {parity.tokens:.2g}, "
        f"spread {parity.spread:.2g}; {parity.undecided} of {parity.joints} joints could not be compared"
    )
    return 0


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
        raise UsageError(f"--accuracy {path} has a key 'validation', which is the checkpoint's own: name it otherwise")
    return accuracy


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number in JSON")


if __name__ == "__main__":
    sys.exit(main())
