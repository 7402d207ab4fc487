# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Parameters through the real command line: described, refused with the reason, taken at once where they may be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import scene
from conftest import Running

from sdtc_ros.node.parameters import PARAMETERS

NODE = "/sdtc_pose"


def start(ros: Any, models: list[str], *parameters: str) -> Running:
    given = [word for parameter in (*models, *parameters) for word in ("-p", parameter)]
    node = ros.start(sys.executable, "-m", "sdtc_ros.node", "--ros-args", *given)
    node.wait_for("waiting for images on")
    return node


def test_set_on_the_command_line(ros, models) -> None:
    node = start(ros, models)

    def told(*words: str) -> str:
        return " ".join(ros.run("ros2", "param", *words).stdout.split())

    assert "Set parameter successful" in told("set", NODE, "max_age", "0.5")
    assert told("get", NODE, "max_age") == "Double value is: 0.5"
    assert "Set parameter successful" in told("set", NODE, "max_age", "1"), "a whole number of seconds"
    assert "must be between 0 and 3600" in told("set", NODE, "max_age", "99999")
    why = told("set", NODE, "provider", "cuda")
    assert "Setting parameter failed" in why
    assert "'provider' is read when the node is configured: deactivate it and clean it up first" in why
    assert "Setting parameter failed" in told("set", NODE, "autostart", "false")
    assert "read-only" in told("set", NODE, "autostart", "false")
    assert "Traceback" not in node.log


def test_describe_on_the_command_line(ros, models) -> None:
    start(ros, models)
    shown = ros.run("ros2", "param", "describe", NODE, *(parameter.name for parameter in PARAMETERS)).stdout
    parts = shown.split("Parameter name: ")[1:]
    assert [part.split()[0] for part in parts] == [parameter.name for parameter in PARAMETERS]
    kinds = {bool: "boolean", int: "integer", float: "double", str: "string", list: "string array"}
    for parameter, part in zip(PARAMETERS, parts, strict=True):
        assert f"Type: {kinds[type(parameter.default)]}\n" in part
        assert f"Description: {parameter.description}\n" in part
        assert parameter.when in part
        assert ("Read only: true" in part) == parameter.read_only
        if parameter.low is not None:
            number = float if isinstance(parameter.default, float) else int
            assert f"Min value: {number(parameter.low)}\n" in part
            assert f"Max value: {number(parameter.high)}\n" in part


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("max_age", -1.0, "out of range"),
        ("max_age", "soon", "parameter 'max_age' must be a number of 0 to 3600, not 'soon'"),
        ("transport", "pigeon", "parameter 'transport' must be one of raw, compressed, not 'pigeon'"),
        ("lookahead", 1, "'lookahead' is read when the node is configured: deactivate it and clean it up first"),
        ("detector", "magic", "parameter 'detector' must be person, topic or the path of an .onnx file, not 'magic'"),
        ("cameras", ["a"], "'cameras' is read when the node is configured: deactivate it and clean it up first"),
        ("cameras", ["a-b"], "parameter 'cameras' must hold valid ROS names (letters, digits, _), not 'a-b'"),
    ],
)
def test_a_bad_value_is_refused_with_the_reason(ros, models, hand, name, value, reason) -> None:
    start(ros, models)
    success, why = hand.set(name, value)
    assert not success
    assert reason in why


def test_dynamic_parameters_count_at_once(ros, models, hand) -> None:
    start(ros, models, "lookahead:=0", "max_gap:=60.0")
    hand.camera("/image")
    hand.listen("/sdtc/poses")

    def people(number: int) -> int:
        hand.image("/image", number)
        return len(hand.heard("/sdtc/poses", count=number + 1)[number]["ids"])

    assert people(0) == 1
    assert hand.set("min_box_score", 0.95) == [True, ""]  # the scene's person has 0.9
    assert people(1) == 0
    assert hand.set("min_box_score", 0.2) == [True, ""]
    assert people(2) == 1
    for name, value in (("crop_drift_threshold", 0.3), ("max_people", 3), ("detect_every", 2), ("max_gap", 30.0),
                        ("max_silence", 0.0), ("statistics_period", 0.0)):  # fmt: skip
        assert hand.set(name, value) == [True, ""], name
    assert people(3) == 1


@pytest.mark.parametrize("name", ["max_wait", "max_gap"])
def test_a_shorter_patience_counts_for_frames_that_wait_already(ros, models, hand, name) -> None:
    start(ros, models, "max_gap:=3600.0")
    hand.camera("/image")
    hand.listen("/sdtc/poses")
    for number in range(4):
        hand.image("/image", number)
        hand.heard("/sdtc/poses", count=number - 1, patience=5.0)
    answered = len(hand.heard("/sdtc/poses", count=5, patience=0.5))
    assert hand.set(name, 0.2) == [True, ""]
    assert len(hand.heard("/sdtc/poses", count=answered + 2)) == answered + 2, "the last two frames waited"


@pytest.mark.parametrize(
    ("cameras", "sentence"),
    [
        ("[front, front]", "parameter 'cameras' must not name 'front' twice"),
        ("[1, 2]", "parameter 'cameras' must be a list of texts, not [1, 2]"),
        ("front", "parameter 'cameras' must be a list of texts, not 'front'"),
        ('["front camera"]', "parameter 'cameras' must hold valid ROS names (letters, digits, _), not 'front camera'"),
    ],
)
def test_cameras_must_be_names(ros, models, cameras, sentence) -> None:
    given = [word for parameter in (*models, f"cameras:={cameras}") for word in ("-p", parameter)]
    node = ros.run(sys.executable, "-m", "sdtc_ros.node", "--ros-args", *given)
    assert node.returncode == 2, node.stdout
    assert sentence in node.stdout
    assert "Traceback" not in node.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["cameras:=[front, front]"], "parameter 'cameras' must not name 'front' twice"),
        (["cameras:=front"], "parameter 'cameras' must be a list of texts, not 'front'"),
        (["cameras:=[front, rear]", "image:=/camera"], "argument 'image' must say where each one's is"),
    ],
)
def test_a_launch_with_wrong_cameras_starts_nothing(ros, arguments, sentence) -> None:
    launch = ros.run("ros2", "launch", Path(__file__).parents[2] / "launch" / "pose.launch.py", *arguments)
    assert launch.returncode == 1
    assert sentence in launch.stdout
    assert "process started" not in launch.stdout


@pytest.mark.parametrize("cameras", ["cameras: []", 'cameras: ["front", "rear"]', "max_age: 1"])
def test_a_parameter_file_may_hold_lists_and_whole_numbers(ros, models, tmp_path, cameras) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"/**:\n  ros__parameters:\n    {cameras}\n")
    node = ros.launch(*models, f"params_file:={path}")
    node.wait_for("waiting for images on")
    if "front" in cameras:
        node.wait_for("rear: waiting for images on /rear/image")
    assert scene.DELTA == 2 and "lookahead 2 frames" in node.log
