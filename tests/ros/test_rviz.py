# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""RViz beside the node, started where it is asked for, on the node's topics: a stand-in tells its arguments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TELLS = """#!/bin/sh
echo "rviz2 was started: $*" >&2
exec sleep 60
"""


@pytest.fixture
def stand_in(ros) -> None:
    """A package `rviz2` that ROS finds before any other."""
    prefix = ros.folder / "prefix"
    program, marker = prefix / "lib/rviz2/rviz2", prefix / "share/ament_index/resource_index/packages/rviz2"
    for path in (program, marker):
        path.parent.mkdir(parents=True)
    program.write_text(TELLS)
    program.chmod(0o755)
    marker.touch()
    ros.env["AMENT_PREFIX_PATH"] = f"{prefix}:{ros.env['AMENT_PREFIX_PATH']}"


def started(ros, models: list[str], *arguments: str) -> str:
    node = ros.launch(*models, *arguments)
    node.wait_for("rviz2 was started")
    node.wait_for("\n")
    node.interrupt()
    return next(line for line in node.log.splitlines() if "rviz2 was started" in line)


def test_rviz_hears_the_nodes_topics(ros, models, stand_in) -> None:
    line = started(ros, models, "image:=/camera/image_raw", "namespace:=front", "rviz:=true")
    config = Path(line.split("-d ")[1].split()[0])
    assert config.is_file()
    assert "Value: sdtc/markers" in config.read_text()
    assert "__ns:=/front" in line
    assert "image:=/camera/image_raw" in line
    assert " -f " not in line


def test_of_several_cameras_it_shows_the_first_in_the_frame_asked_for(ros, models, stand_in) -> None:
    line = started(ros, models, "cameras:=[left, right]", "image:=/{camera}/image_raw", "rviz:=left_optical")
    assert "-f left_optical" in line
    assert "image:=/left/image_raw" in line
    assert "sdtc/markers:=left/sdtc/markers" in line
    assert "right" not in line


def test_without_rviz2_the_launch_says_so(ros, models) -> None:
    launch = ros.launch(*models, "rviz:=true")
    if launch.process.wait(60) == 0:
        pytest.skip("rviz2 is installed")
    assert "package 'rviz2' not found" in launch.log
    with pytest.raises(ProcessLookupError):  # nobody of its process group is left
        os.killpg(launch.process.pid, 0)
