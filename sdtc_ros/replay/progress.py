# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A progress bar on a terminal, a line every ten seconds elsewhere (a log file, a CI run)."""

from __future__ import annotations

import sys
from time import monotonic
from typing import Any

from sdtc_ros.closing import Closing

_LINE_EVERY = 10.0  # seconds


class Progress(Closing):
    """Counts steps towards `total` (None: unknown): a bar on stderr, or lines on stdout; use it in a `with`."""

    def __init__(self, what: str, total: int | None, shown: bool = True, unit: str = "frame") -> None:
        """`what` is shown before the figures; `unit` is one step's name."""
        self._what, self._total, self._unit = what, total, unit
        self._done, self._start = 0, monotonic()
        self._next = self._start + _LINE_EVERY
        self._lines = shown and not sys.stderr.isatty()
        self._bar: Any = None
        if shown and not self._lines:
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=what, unit=unit, dynamic_ncols=True, leave=False)

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.update()
        elif self._lines and monotonic() >= self._next:
            self._next = monotonic() + _LINE_EVERY
            rate = self._done / (monotonic() - self._start)
            of = "" if self._total is None else f" of {self._total}"
            print(f"{self._what}: {self._done}{of} {self._unit}s, {rate:.1f} a second", flush=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
