# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What our launch files need beside launch itself. Imports nothing but the standard library: any Python can use it.

An argument that no launch file has is refused, where launch itself ignores it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from pathlib import Path

from sdtc_ros.errors import UsageError

_ARGUMENT = re.compile(r"([A-Za-z_]\w*):=")


def check_arguments(words: Sequence[str], launch_file: str, known: Collection[str]) -> None:
    """Raise UsageError for the first `name:=value` among `words` (a sys.argv) that is not among `known` names.

    Only where `launch_file` (its name) is what was launched: one that includes it has arguments of its own.
    """
    if not is_launched(words, launch_file):
        return
    for found in filter(None, map(_ARGUMENT.match, words)):
        if found[1] not in known:
            close = get_close_matches(found[1], known, 1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise UsageError(f"{launch_file} has no argument '{found[1]}'{hint} (--show-args lists them)")


def is_launched(words: Sequence[str], launch_file: str) -> bool:
    """Whether the launch file of that name is itself what the words of a `ros2 launch` start."""
    return any(Path(word).name == launch_file for word in words if ":=" not in word)


def python_prefix() -> str:
    """`python3`, with the signals that end it held back until it is ready for them, where the system's `env` can.

    A Ctrl-C in the tenth of a second that Python takes to start would be a traceback otherwise.
    """
    prefix = "env --block-signal=INT --block-signal=TERM python3"
    try:
        able = subprocess.run([*prefix.split()[:3], "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        able = False
    return prefix if able else "python3"
