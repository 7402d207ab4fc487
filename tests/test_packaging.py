# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What an install holds and what it says of itself: one version everywhere, nothing of training on a robot."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sdtc_ros.version import __version__

ROOT = Path(__file__).resolve().parents[1]


def setup_arguments(monkeypatch: pytest.MonkeyPatch, setuptools_version: str) -> dict[str, Any]:
    """What setup.py gives to a setuptools of that version."""
    import setuptools

    given: dict[str, Any] = {}
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["setup.py"])
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
    monkeypatch.setattr(setuptools, "__version__", setuptools_version)
    exec(compile((ROOT / "setup.py").read_text(encoding="utf-8"), "setup.py", "exec"), {"__name__": "__main__"})
    return given


def test_one_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    package = re.search("<version>(.+)</version>", (ROOT / "package.xml").read_text(encoding="utf-8"))
    assert package and package[1] == __version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == __version__
    assert f"\n{__version__}\n-" in (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8")
    assert 'version = { attr = "sdtc_ros.version.__version__" }' in (ROOT / "pyproject.toml").read_text(
        encoding="utf-8"
    )


def test_a_robot_gets_sdtc_ros_alone_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    packages = set(setup_arguments(monkeypatch, "68.1.2")["packages"])
    assert {name.partition(".")[0] for name in packages} == {"sdtc_ros"}
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "sdtc_ros").rglob("*.py")}
    assert packages == {".".join(folder.parts) for folder in folders}


def test_setuptools_of_ubuntu_22_04_is_told_what_it_cannot_read_in_pyproject(monkeypatch: pytest.MonkeyPatch) -> None:
    old = setup_arguments(monkeypatch, "59.6.0")
    assert (old["name"], old["version"]) == ("sdtc_ros", __version__)
    assert "pytest" in old["extras_require"]["test"]
    assert not {"name", "version"} & set(setup_arguments(monkeypatch, "68.1.2"))


@pytest.mark.slow
def test_colcon_can_read_what_setup_py_makes() -> None:
    """It evaluates the repr() of the attributes: one of an object of setuptools' own ends every build."""
    code = (
        "import setuptools; from distutils.core import run_setup; "
        "made = run_setup('setup.py', script_args=('--dry-run',), stop_after='config'); "
        "names = 'python_requires', 'install_requires', 'extras_require', 'packages', 'data_files', 'entry_points'; "
        "print({name: getattr(made, name) for name in names})"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, text=True, capture_output=True, check=True
    )
    made = ast.literal_eval(done.stdout.splitlines()[-1])
    assert made["python_requires"] == ">=3.10"
    assert any(word.startswith("pytest") for word in made["extras_require"]["test"])


def test_no_line_is_longer_than_flake8_allows() -> None:
    """Ruff does not count what stands in a line for linters alone, ROS's flake8 does."""
    folders = ("sdtc_ros", "launch", "training", "export", "benchmarks", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 400
    lines = {f"{path}:{n}": line for path in files for n, line in enumerate(path.read_text("utf-8").splitlines(), 1)}
    assert [place for place, line in lines.items() if len(line) > 120] == []
