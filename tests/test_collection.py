# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Tests that are not collected do not fail: what could make a whole folder of them vanish."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent
IMPORTS_ALL = """\
import pytest
from _pytest.pathlib import import_path


def pytest_pycollect_makemodule(module_path, parent):
    import_path(module_path, root=parent.config.rootpath, consider_namespace_packages=False)
    return pytest.Module.from_parent(parent, path=module_path)
"""


def collected(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q", *words]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)


def project(folder: Path, others: str) -> None:
    """Two tests below a folder whose own file holds `others`; its files are imported as launch_testing imports them."""
    (folder / "imports_all.py").write_text(IMPORTS_ALL)
    (folder / "tests" / "ros").mkdir(parents=True)
    (folder / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(HERE)!r})\nfrom collection import *  # noqa: F403\n"
    )
    (folder / "tests" / "test_others.py").write_text(others)
    (folder / "tests" / "ros" / "test_node.py").write_text("def test_a(): pass\n\ndef test_b(): pass\n")


def test_a_folder_that_one_file_skips_fails_the_run(tmp_path: Path) -> None:
    project(tmp_path, "import pytest\npytest.importorskip('no_such_module')\n")
    done = collected(tmp_path, "-p", "imports_all", "tests/ros")
    assert done.returncode != 0
    assert "all tests under 'tests' would be skipped" in done.stdout + done.stderr
    assert "no_such_module" in done.stdout + done.stderr
    assert "2 tests collected" in collected(tmp_path, "tests/ros").stdout  # without the plugin there is nothing wrong


def test_a_skip_in_a_test_takes_nothing_along(tmp_path: Path) -> None:
    project(tmp_path, "import pytest\n\ndef test_c():\n    pytest.importorskip('no_such_module')\n")
    done = collected(tmp_path, "-p", "imports_all", "tests/ros")
    assert (done.returncode, "2 tests collected" in done.stdout) == (0, True), done.stdout + done.stderr


def test_an_endless_name_of_a_test_fails_the_run(tmp_path: Path) -> None:
    project(
        tmp_path,
        "import pytest\n\n@pytest.mark.parametrize('x', [pytest.param(1, id='x' * 2000)])\ndef test_d(x): pass\n",
    )
    done = collected(tmp_path, "tests")
    assert done.returncode != 0
    assert "a test's name has 20" in done.stdout + done.stderr


def test_no_file_of_ours_is_skipped_while_it_is_imported() -> None:
    skipping = [path.relative_to(HERE) for path in HERE.rglob("test_*.py") if _skips_at_import(path)]
    assert not skipping


def _skips_at_import(path: Path) -> bool:
    """Whether a statement outside functions calls pytest.skip or pytest.importorskip."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            continue
        for node in ast.walk(statement):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr in ("skip", "importorskip"):
                return not (isinstance(called.value, ast.Attribute) and called.value.attr == "mark")
    return False
