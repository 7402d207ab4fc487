"""`python -m training.data check DIR`: look at a data set before training on it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sdtc_ros.errors import SdtcError
from training.data import check


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (sdtc_ros/errors.py)."""
    parser = argparse.ArgumentParser(prog="training.data", description="Look at a data set before training on it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check.add_arguments(
        commands.add_parser("check", help="tell what a data set's folder holds, and draw windows of it")
    )
    args = parser.parse_args(argv)
    try:
        return check.run(args)
    except SdtcError as error:
        print(f"training.data: error: {error}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
