# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A short part of the campaign in every test run; the whole of it is `python -m tests.fuzz` (docs/reliability.md)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.campaign import _faults
from tests.fuzz.subjects import SUBJECTS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def test_a_few_damaged_inputs_of_every_kind():
    """In a process of its own: forked children want a parent without threads."""
    words = [f"{name}=3000-3003" for name in SUBJECTS]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *words], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" | 3 | ") >= len(SUBJECTS)


@pytest.mark.parametrize(
    ("status", "said", "megabytes", "fault"),
    [
        (0, "", 100, None),
        (3, "sdtc_ros: error: x is not a bag\n", 100, None),
        (3, "", 100, "not one sentence"),
        (
            1,
            "Traceback (most recent call last):\nValueError: math domain error\n",
            100,
            "ValueError: math domain error",
        ),
        (-11, "", 100, "ended by SIGSEGV"),
        (-14, "", 100, "hung"),
        (0, "", 5000, "too much memory"),
    ],
)
def test_what_breaks_a_rule(status, said, megabytes, fault):
    found = _faults(status, said, megabytes)
    assert (fault in found[0]) if fault else found == []
