# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Ending a run decently: requests to stop become a flag, warnings are collected for the report."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class StopRequest:
    """Whether someone asked the replay to end: `status` is 0, or the exit status that says so."""

    status = 0


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turn Ctrl-C and a request to terminate into a flag for the time of the block; a second one interrupts at once.

    A frame is thus never half written. Outside the main thread, which alone gets signals, the flag stays down.
    """
    request = StopRequest()

    def ask(number: int, _: Any) -> None:
        if request.status:
            raise KeyboardInterrupt
        request.status = 128 + number
        print("sdtc_ros: stopping after this frame, what is done will be written", file=sys.stderr)

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Collector(logging.Handler):
    """Keeps each warning once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.notes: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        if record.getMessage() not in self.notes:
            self.notes.append(record.getMessage())


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """The package's warnings during the block, for the report (nothing else then prints them to stderr)."""
    collector, logger = _Collector(), logging.getLogger("sdtc_ros")
    logger.addHandler(collector)
    try:
        yield collector.notes
    finally:
        logger.removeHandler(collector)
