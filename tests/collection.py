# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A folder of tests that is skipped as a whole is an error.

launch_testing's plugin, which is there wherever ROS 2 is, imports every test file while it collects their folder. A
skip in one of them (`importorskip` at the module's level) then skips the folder, the folders in it included, and a run
of nothing is green. So is a test whose name is endless: colcon reads no line over 64 KiB, nor what follows it.
"""

from __future__ import annotations

import pytest

LONGEST = 1000  # characters of a test's name


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """End the run, with the reason, where a folder was skipped; a file may be."""
    if report.skipped and ".py" not in report.nodeid:
        raise pytest.UsageError(
            f"all tests under '{report.nodeid or '.'}' would be skipped by one file's skip while it is imported; skip "
            f"in a fixture or a test there instead: {report.longreprtext.strip().splitlines()[-1]}"
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """End the run where a test's name, made of its parameters, is no name any more (pytest 9 shortens them itself)."""
    for item in items:
        if len(item.nodeid) > LONGEST:
            raise pytest.UsageError(
                f"a test's name has {len(item.nodeid)} characters, give it an id: {item.nodeid[:200]}"
            )
