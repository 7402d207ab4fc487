# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Beside a distribution's ROS 2, whatever pip installs later must leave NumPy as the messages were built against it."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


def constraints() -> list[Requirement]:
    lines = (ROOT / "constraints-ros.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("python", ["3.10", "3.12"])  # Humble's and Jazzy's
@pytest.mark.parametrize(
    ("package", "works", "breaks"),
    [("numpy", "1.26.4", "2.0.0"), ("scipy", "1.11.4", "1.16.0"), ("opencv-python", "4.11.0.86", "4.12.0.88")],
)
def test_what_breaks_the_distributions_messages_is_excluded(package: str, works: str, breaks: str, python: str) -> None:
    held = [one for one in constraints() if one.name == package]
    valid = [one for one in held if one.marker is None or one.marker.evaluate({"python_version": python})]
    assert all(one.specifier.contains(works) for one in valid)
    assert not all(one.specifier.contains(breaks) for one in valid)


@pytest.mark.parametrize("path", ["docs/deploy.md", "docker/Dockerfile", ".github/workflows/ci.yml"])
def test_the_environments_pip_is_held_to_them_before_it_installs(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    configured = text.index("pip config --site set global.constraint")
    assert "constraints-ros.txt" in text[configured : configured + 100]
    assert configured < text.index("pip install", configured)
    assert "-r src/sdtc_ros/requirements-ros.txt" in text[configured:]


def test_the_requirements_bring_them_along() -> None:
    assert "-c constraints-ros.txt" in (ROOT / "requirements-ros.txt").read_text(encoding="utf-8").splitlines()
