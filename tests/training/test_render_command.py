# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m training.data render`: what is refused before anything is rendered."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import pytest

from training.data.__main__ import main
from training.data.render import add_arguments, depth_camera
from training.synthetic.depth_camera import DepthCamera

pytestmark = pytest.mark.slow


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The packages that seem to be installed, whichever are."""
    there = {"numba", "anny"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in there else None)
    return there


def test_the_missing_extra_is_named(installed: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installed.discard("anny")
    assert main(["render", "windows", "--count", "1", "--out", str(tmp_path / "out")]) == 2
    assert 'pip install "sdtc_ros[synthetic]"' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["windows", "--count", "0"], "--count and --workers must be >= 1"),
        (["windows", "--count", "1", "--workers", "0"], "--count and --workers must be >= 1"),
        (["windows", "--count", "1", "--seed", "-1"], "--seed must not be negative"),
        (["windows", "--count", "1", "--occluded", "1.5"], "required: --occluded, --crowded, --blurred"),
        (["windows", "--count", "1", "--furthest", "1"], "--furthest >= 2"),
        (["clips", "--count", "1", "--depth-noise", "-1"], "required: --depth-noise, --depth-edge"),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    installed: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["render", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "device"),
    [
        ([], None),
        (["--depth-camera"], DepthCamera()),
        (["--depth-camera", "--depth-shift", "0.03", "--depth-hole", "0"], DepthCamera(shift=0.03, hole=0)),
        (["--depth-noise", "0.01"], DepthCamera(noise=0.01, edge=0, hole=0, steps=0)),
    ],
)
def test_depth_is_exact_but_for_the_errors_asked_for(arguments: list[str], device: DepthCamera | None) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert depth_camera(parser.parse_args(["clips", "--count", "1", "--out", "clips", *arguments])) == device
