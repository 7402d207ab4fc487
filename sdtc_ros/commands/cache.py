# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m sdtc_ros cache [--clear]`: list or clear the cache (engines, timings, verdicts)."""

from __future__ import annotations

import argparse
import time

from sdtc_ros.engine.cache import Cache, Entry
from sdtc_ros.errors import UsageError

_EPILOG = """\
The folder is $SDTC_CACHE, else $XDG_CACHE_HOME/sdtc_ros, else ~/.cache/sdtc_ros. What is cleared is made again when it
is next needed; a TensorRT engine takes minutes. Files in the folder that are not sdtc_ros's are left alone.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's arguments."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--clear", action="store_true", help="remove all entries")
    parser.add_argument("--words", action="store_true", help="also print what each entry was built for")


def run(args: argparse.Namespace) -> int:
    """List or clear the cache (a folder that is not there is empty); raises UsageError where entries stay."""
    cache = Cache(report=print)
    entries = cache.clear() if args.clear else cache.entries()
    for entry in entries:
        print(_line(entry))
        if args.words:
            for name, value in entry.words.items():
                print(f"    {name}: {value}")
    total = sum(entry.size for entry in entries)
    print(f"{len(entries)} {'removed' if args.clear else 'cached'}, {total / 1e6:.1f} MB, in {cache.folder}")
    left = cache.entries() if args.clear else []
    if left:
        raise UsageError(f"{len(left)} entries of {cache.folder} could not be removed; is the folder read-only?")
    return 0


def _line(entry: Entry) -> str:
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.made))
    gpu = entry.words.get("gpu") or entry.words.get("device") or ""
    return f"{made}  {entry.size / 1e6:9.1f} MB  {entry.what}  {gpu}".rstrip()
