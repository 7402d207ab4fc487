# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The ament linters, over everything that is ours; where one is told more than its defaults, a line says why."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from conftest import ROOT

FOLDERS = ("sdtc_ros", "launch", "training", "export", "benchmarks", "tests")
LINTERS = {
    "ament_copyright": ("LICENSE", "CONTRIBUTING.md", *FOLDERS),
    "ament_flake8": ("--config", "setup.cfg", *FOLDERS),
    # D213: summaries stand on the first line. D400: one may be a question (D415 sees to the rest). D401: a noun phrase
    # says what is returned. D402, D403: it may begin with a word that is also the function's name, or with a name that
    # is written as its owner writes it.
    "ament_pep257": (*FOLDERS, "--add-ignore", "D213", "D400", "D401", "D402", "D403"),
    "ament_xmllint": ("package.xml",),
}
OFFLINE = "Failed to locate the main schema resource"  # of download.ros.org, which package.xml names


@pytest.mark.linter
@pytest.mark.parametrize("linter", LINTERS)
def test_ament_linters_find_nothing(ros, linter) -> None:
    program = shutil.which(linter, path=ros.env["PATH"])
    if program is None:
        pytest.skip(f"{linter} is not installed")
    if linter == "ament_xmllint" and shutil.which("xmllint", path=ros.env["PATH"]) is None:
        pytest.skip("xmllint is not installed (libxml2-utils)")
    done = subprocess.run(
        [program, *LINTERS[linter]], env=ros.env, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=300, check=False,
    )  # fmt: skip
    if OFFLINE in done.stdout:
        pytest.skip(f"{linter} cannot reach http://download.ros.org, where the schema is")
    found = [line for line in done.stdout.splitlines() if not line.startswith(("checking ", "* "))]
    assert done.returncode == 0, "\n".join(found)[:8000]
    assert "No problems found" in done.stdout
