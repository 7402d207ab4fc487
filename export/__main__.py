"""`python -m export CHECKPOINT --out FOLDER`: write a model bundle, print the parity report."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from sdtc_ros.errors import SdtcError, UsageError


def main(arguments: list[str] | None = None) -> int:
    """Export; exit status as in sdtc_ros.errors."""
    parser = argparse.ArgumentParser(
        prog="python -m export", description="Turn a checkpoint into a model bundle that the robot runs."
    )
    parser.add_argument(
        "checkpoint", type=Path, help="a .ckpt file that training/train.py wrote, or ViTPose weights as published"
    )
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder; a bundle there is replaced")
    parser.add_argument("--name", help="the model's name (default: the folder's)")
    parser.add_argument("--accuracy", type=Path, help="a JSON file with the measured accuracy, kept in model.json")
    args = parser.parse_args(arguments)
    try:
        return _export(args)
    except SdtcError as error:
        print(f"export: error: {error}", file=sys.stderr)
        return error.exit_status


def _export(args: argparse.Namespace) -> int:
    try:
        accuracy = json.loads(args.accuracy.read_text()) if args.accuracy else {}
    except (OSError, ValueError) as error:
        raise UsageError(f"--accuracy {args.accuracy} cannot be read as JSON ({error})") from error
    from export.bundle import export_bundle  # torch is slow to import: --help need not wait for it

    bundle, parity = export_bundle(args.checkpoint, args.out, args.name or args.out.name, accuracy)
    size = sum(path.stat().st_size for path in args.out.iterdir())
    print(f"wrote {args.out} ({bundle.name}, {size / 1e6:.1f} MB)")
    print(f"parity with torch over {parity.windows} windows: keypoints {parity.keypoints_px:.2g} px, ", end="")
    print(f"scores {parity.scores:.2g}, heatmaps {parity.heatmaps:.2g}, tokens {parity.tokens:.2g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
