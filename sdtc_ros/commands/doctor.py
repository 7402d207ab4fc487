# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m sdtc_ros doctor`: what is installed, what can run, what to do about the rest; for a bug report."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

from sdtc_ros.doctor import BROKEN, Finding, gpu, installed, model, ros, shortened
from sdtc_ros.errors import BundleError, UsageError

_EPILOG = """\
Every line begins with ok, missing (only what the line names would use it) or broken. Names of users and folders above
the home folder are left out, so the text can be pasted into a bug report. Exit status: 0 the model runs on the CPU,
which is the default, and where ROS 2 is sourced the node would start; 4 otherwise.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's arguments."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--model", type=Path, metavar="BUNDLE", help="default: the model shipped with it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the findings to this file")


def run(args: argparse.Namespace) -> int:
    """Print the findings part by part; raises UsageError for a file that cannot be written."""
    if args.json is not None and not args.json.parent.is_dir():
        raise UsageError(f"--json {args.json}: no such folder: {args.json.parent}")
    if args.json is not None and args.json.is_dir():
        raise UsageError(f"--json {args.json} is a folder; give a file name")
    found: list[Finding] = []
    for part in (installed.findings, gpu.findings, ros.findings, lambda: model.findings(args.model)):
        found += _print(part())
    starts = ros.node_starts(found)
    works = model.works(found) and starts
    broken = sum(one.state == BROKEN for one in found)
    state = "runs" if model.works(found) else "does not run"
    node = "" if starts else " The node would not start here."
    print(f"\nThe model {state} on the CPU, which is the default.{node} Broken lines: {broken or 'none'}.")
    if args.json is not None:
        _write(args.json, found, works)
    return 0 if works else BundleError.exit_status


def _print(part: Iterable[Finding]) -> list[Finding]:
    """Print a part and return its findings, as shortened as they were printed."""
    short = [replace(one, text=shortened(one.text), advice=shortened(one.advice)) for one in part]
    print(f"{short[0].part}")
    for one in short:
        print(one, flush=True)
    return short


def _write(path: Path, found: list[Finding], works: bool) -> None:
    try:
        path.write_text(json.dumps({"works": works, "findings": [asdict(one) for one in found]}, indent=1) + "\n")
    except OSError as error:
        raise UsageError(f"--json {path} cannot be written: {error.strerror}") from None
