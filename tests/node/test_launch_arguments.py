# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A misspelt launch argument is refused, with the one that was meant; another launch file's arguments are its own."""

from __future__ import annotations

import pytest

from sdtc_ros.errors import UsageError
from sdtc_ros.node.launch_arguments import check_arguments, is_launched

KNOWN = ("image", "detector", "max_age", "rviz")
LAUNCH = ["/opt/ros/jazzy/bin/ros2", "launch", "sdtc_ros", "pose.launch.py"]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("detctor:=topic", "pose.launch.py has no argument 'detctor'; did you mean 'detector'?"),
        ("maxage:=1", "no argument 'maxage'; did you mean 'max_age'?"),
        ("qqq:=", "no argument 'qqq' (--show-args lists them)"),
    ],
)
def test_a_misspelt_argument_is_refused(word: str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_arguments([*LAUNCH, "image:=/camera/image_raw", word], "pose.launch.py", KNOWN)
    assert told in str(raised.value)


def test_right_ones_and_options_pass() -> None:
    words = [*LAUNCH, "image:=/a:=b", "--show-args", "--debug", "rviz:=true"]
    check_arguments(words, "pose.launch.py", KNOWN)


def test_arguments_of_a_launch_file_that_includes_ours_are_left_alone() -> None:
    words = ["ros2", "launch", "my_robot", "bringup.launch.py", "robot:=left", "file:=pose.launch.py"]
    check_arguments(words, "pose.launch.py", KNOWN)
    assert not is_launched(words, "pose.launch.py")


def test_a_path_is_the_launch_file_too() -> None:
    assert is_launched(["ros2", "launch", "/src/sdtc_ros/launch/pose.launch.py"], "pose.launch.py")
