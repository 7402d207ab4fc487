# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m training.weights show FILE`: what a weight file holds; `... download NAME --to DIR`: fetch one by name."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdtc_ros.errors import SdtcError
from training.weights.download import SOURCES, download

EPILOG = "names to download:\n" + "\n".join(
    f"  {name:19} {source.what}; {source.licence}" for name, source in SOURCES.items()
)


def main(arguments: list[str] | None = None) -> int:
    """Show or download; exit status as in sdtc_ros.errors."""
    parser = argparse.ArgumentParser(
        prog="python -m training.weights", description="Published weights: what a file holds, and where to get one.",
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show", help="print what a file or a folder contains")
    show.add_argument(
        "path",
        type=Path,
        metavar="FILE",
        help=".pth, .safetensors, a folder of Hugging Face's, .json of TF.js, or .ckpt",
    )
    fetch = commands.add_parser("download", help="fetch weights by name; nothing else here uses the network")
    fetch.add_argument("name", metavar="NAME", help="one of the names that --help without a command lists")
    fetch.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder to put them in")
    bare = commands.add_parser("strip", help="strip the 'module.' that DataParallel puts before every name")
    bare.add_argument("path", type=Path, metavar="FILE", help="a torch file: .pth or .ckpt")
    bare.add_argument("--to", type=Path, required=True, metavar="FILE", help="the file to write")
    small = commands.add_parser("shrink", help="a checkpoint of ours in half precision, without its optimiser")
    small.add_argument("path", type=Path, metavar="CKPT", help="a .ckpt that training wrote")
    small.add_argument("--to", type=Path, required=True, metavar="FILE", help="the file to write")
    args = parser.parse_args(arguments)
    try:
        if args.command == "shrink":
            from training.checkpoint import shrink

            shrink(args.path, args.to)
            print(f"{args.to}: {args.to.stat().st_size / 1e6:.1f} MB of {args.path.stat().st_size / 1e6:.1f}")
            return 0
        if args.command == "strip":
            from training.weights.prefix import strip

            print(f"{strip(args.path, args.to)} names without 'module.' in {args.to}")
            return 0
        path = args.path if args.command == "show" else download(args.name, args.to)
        print(_described(path))
    except SdtcError as error:
        print(f"weights: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("weights: stopped", file=sys.stderr)
        return 130
    return 0


def _described(path: Path) -> str:
    from training.weights.show import describe_file  # torch is slow to import: --help need not wait for it

    return describe_file(path)


if __name__ == "__main__":
    sys.exit(main())
