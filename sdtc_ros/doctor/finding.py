# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A finding, and how to find without failing."""

from __future__ import annotations

import getpass
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

OK, MISSING, BROKEN = "ok", "missing", "broken"
TIMEOUT = 120  # seconds for a package's import


@dataclass(frozen=True)
class Finding:
    """One line: state OK, MISSING (nothing needs it, unless the text says so) or BROKEN; advice: what to do, if much.

    part: the heading that it stands under; what: what was looked at; text: what was found.
    """

    part: str
    state: str
    what: str
    text: str
    advice: str = ""

    def __str__(self) -> str:
        """'  ok       what: text; advice'."""
        return f"  {self.state:<8} {self.what}: {self.text}{f'; {self.advice}' if self.advice else ''}"


def checked(part: str, what: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What the check finds; an exception in it is a finding too."""
    try:
        return list(check())
    except Exception as error:  # whatever is wrong with this machine is what we are here to tell
        return [Finding(part, BROKEN, what, first_line(error))]


def first_line(error: BaseException) -> str:
    """The error in one line, with its kind where that says something."""
    lines = str(error).strip().splitlines() or [""]
    kind = "" if type(error).__module__.startswith("sdtc_ros") else f"{type(error).__name__}: "
    return (kind + lines[0][:300]).strip()


def imported(statement: str) -> tuple[bool, str]:
    """What a Python program prints, in a process of its own, or the last line of its error.

    A package that crashes on import (of another Python, another NumPy) must not take this process with it.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", statement], capture_output=True, text=True, timeout=TIMEOUT, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return False, f"its import takes more than {TIMEOUT} seconds"
    if done.returncode == 0:
        return True, (done.stdout.strip().splitlines() or [""])[-1]
    said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
    return False, said[-1][:300] if done.returncode > 0 else f"its import crashes Python (signal {-done.returncode})"


def shortened(text: str) -> str:
    """The text without what is nobody else's business: the home folder is ~, and the user's name is USER."""
    home = str(Path.home())
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        return text
    return re.sub(rf"(?<=/){re.escape(user)}(?![\w.-])", "USER", text) if user != "root" else text
