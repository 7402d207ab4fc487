# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The command line: `python -m sdtc_ros COMMAND`, or `sdtc COMMAND` once installed.

An error that the user can mend is one sentence on stderr and the exit status that errors.py gives it; a defect of
ours keeps its traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper

import sdtc_ros
from sdtc_ros.errors import InputError, SdtcError

# name -> what it does; a module is imported only when its command is asked for
COMMANDS = {
    "replay": "poses of a rosbag2, a video or a folder of frames: bag, JSON, video, report",
    "batch": "replay of many inputs, in several processes or on several hosts, evaluated together",
    "demo": "make a synthetic bag with its truth, replay it, print the accuracy",
    "evaluate": "compare predicted poses with annotated ones: AP, precision, recall, MOTA",
    "info": "what a model bundle is and how well it does",
    "cache": "list or clear the cache of TensorRT engines and accuracy checks",
    "doctor": "what is installed, what can run here, and what to do about the rest",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # file names may be any bytes
            stream.reconfigure(errors="backslashreplace")
    args = _parser(argv).parse_args(argv)
    try:
        return int(import_module(f"sdtc_ros.commands.{args.command}").run(args))
    except SdtcError as error:
        print(f"sdtc_ros: error: {error}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:  # whoever read our output has left
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - nothing is left to write to
        return 141
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"sdtc_ros: error: {where}{error.strerror or error}", file=sys.stderr)
        return InputError.exit_status
    except KeyboardInterrupt:
        print("sdtc_ros: stopped", file=sys.stderr)
        return 130


_EPILOG = (
    "Begin with `python -m sdtc_ros demo --out DIR`. `python -m sdtc_ros COMMAND --help` says more about a command; "
    "the live node is started with `ros2 launch sdtc_ros pose.launch.py`."
)


def _parser(argv: list[str]) -> argparse.ArgumentParser:
    """The parser, with the arguments of the one command that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m sdtc_ros", description=sdtc_ros.__doc__, epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"sdtc_ros {sdtc_ros.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = next((word for word in argv if not word.startswith("-")), None)
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text[:1].upper() + text[1:] + ".")
        if name == asked:
            import_module(f"sdtc_ros.commands.{name}").add_arguments(sub)
    return parser


if __name__ == "__main__":
    sys.exit(main())
