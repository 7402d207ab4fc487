# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Tests of synthetic people need numba (extras "synthetic" and "dev"); the header says where it lacks."""

import importlib.util

MISSING = importlib.util.find_spec("numba") is None
collect_ignore_glob = ["test_synthetic_*.py"] if MISSING else []


def pytest_report_header() -> str:
    return "synthetic people: not tested, numba is not installed" if MISSING else "synthetic people: tested"
