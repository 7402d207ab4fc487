# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the tests need: onnx, to make small models. Without torch, on a robot, those of training/ and export/ rest."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from collection import pytest_collection_modifyitems, pytest_collectreport

__all__ = ["pytest_collection_modifyitems", "pytest_collectreport"]

# Networks of the tests are small: a second thread costs more than it does, and under -n workers would fight for cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_NEED_TORCH = ["training", "export", "benchmarks/test_benchmarks_gpu.py"]
collect_ignore = [] if find_spec("torch") else _NEED_TORCH


def pytest_configure() -> None:
    """One sentence in place of dozens of failed imports."""
    if not find_spec("onnx"):
        raise pytest.UsageError("the tests make small models with onnx, which is not installed: pip install onnx")


def pytest_collection_finish() -> None:
    """What is imported by now stays: the garbage collector need not look at it each time, which took half a second."""
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    """A line at the head of every run."""
    return "torch is not installed: tests of training/ and export/ are left out" if collect_ignore else ""


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's cache of engines and verdicts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SDTC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
