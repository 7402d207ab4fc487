# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Every benchmark works as a file and as a module, writes JSON, and stands in docs/benchmarks.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the installed package
COMMANDS = sorted(
    path.stem
    for path in (ROOT / "benchmarks").glob("*.py")
    if path.stem != "picture" and 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")
)
SUBCOMMANDS = {"live": ["soak"]}


def test_the_table_lists_them_all() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)[^`]*` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    assert {name for name, *_ in rows} == set(COMMANDS)
    assert all(len(cell.strip()) > 3 for _, *cells in rows for cell in cells)


@pytest.mark.slow
def test_each_runs_as_a_file_from_anywhere_and_names_the_json_file(tmp_path: Path) -> None:
    """Each as its file alone would be, but in one process: nothing of the repository is on the path before."""
    code = """
import runpy, sys
before = list(sys.path)
for line in sys.stdin.read().splitlines():
    sys.path[:], sys.argv = before, [*line.split("\t"), "--help"]
    for name in [name for name in sys.modules if name.startswith("benchmarks")]:
        del sys.modules[name]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as stop:
        print("status", stop.code)
"""
    lines = ["\t".join([str(ROOT / "benchmarks" / f"{name}.py"), *SUBCOMMANDS.get(name, [])]) for name in COMMANDS]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code], input="\n".join(lines), cwd=tmp_path, env=environment, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    helps = done.stdout.split("status 0\n")
    assert len(helps) == len(COMMANDS) + 1 and not helps[-1]
    for name, text in zip(COMMANDS, helps, strict=False):
        assert text.startswith(f"usage: python benchmarks/{name}.py") and "--json" in text
