# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The README's Python example runs as printed, on a recording where its demo command leaves one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sdtc_ros.commands.demo import write_demo_input
from sdtc_ros.demo import demo_clip

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_python_example_runs_as_printed(tmp_path: Path) -> None:
    example = re.search(r"<!-- python -->\n```python\n(.*?)```", README, re.DOTALL)
    assert example
    assert "demo --out out/demo" in README
    write_demo_input(tmp_path / "out" / "demo" / "demo_input", demo_clip(12))
    done = subprocess.run(
        [sys.executable, "-c", example[1]], cwd=tmp_path, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"^179\d{16} \d+ \d+ \d+ \d\.\d\d$", done.stdout, re.MULTILINE), done.stdout


def test_every_page_and_file_it_links_exists() -> None:
    for page in (ROOT / "README.md", ROOT / "docs" / "README.md"):
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_link_by_name_has_its_address() -> None:
    named = set(re.findall(r"\]\[(\w+)\]", README))
    assert len(named) >= 5 and named == set(re.findall(r"^\[(\w+)\]: https://\S+$", README, re.MULTILINE))
