# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m training.data check DIR | render KIND`: look at a data set before training on it, or render one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sdtc_ros.errors import SdtcError
from training.data import check, render


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (sdtc_ros/errors.py)."""
    parser = argparse.ArgumentParser(prog="training.data", description="Inspect a data set, or render one.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check.add_arguments(commands.add_parser("check", help="summarise a data set's folder, and draw windows of it"))
    render.add_arguments(commands.add_parser("render", help="render synthetic people"))
    args = parser.parse_args(argv)
    try:
        return check.run(args) if args.command == "check" else render.run(args)
    except SdtcError as error:
        print(f"training.data: error: {error}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
