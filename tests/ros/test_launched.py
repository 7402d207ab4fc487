# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The node as a user starts it, with `ros2 launch`: parameters from both sides reach the frames, ends have a status."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from conftest import exit_status
from faults import FAILING_PIPELINE
from test_node import answered


def params_file(ros: Any, models: list[str], **values: Any) -> str:
    """A file with the test's model, detector and these values, as the argument of the launch file."""
    path = ros.folder / "mine.yaml"
    named = dict(argument.split(":=", 1) for argument in models)
    path.write_text(json.dumps({"/**": {"ros__parameters": named | values}}))  # which is YAML too
    return f"params_file:={path}"


def test_values_of_a_file_reach_the_frames_and_arguments_come_before_them(ros, models) -> None:
    filed = params_file(ros, models, max_gap=60.0, lookahead=2, statistics_period=1)
    node = ros.launch(filed, "lookahead:=0", "name:=eyes", "image:=/camera/image_raw", "poses:=/people")
    node.wait_for("[eyes]: waiting for images on /camera/image_raw; publishing poses on /people")
    numbers = answered(ros.peer("--frames", "8", "--patient", "1", "--poses", "/people"))
    assert numbers[-1] == 7, "the argument's lookahead: the newest frame is answered, in a minute without another"
    node.wait_for("latency ")  # the file's statistics_period
    assert "Double value is: 60.0" in ros.run("ros2", "param", "get", "/eyes", "max_gap").stdout
    node.interrupt()
    assert exit_status(node) == 0
    assert "0 damaged + 0 waiting" in node.log


@pytest.mark.parametrize(
    ("filed", "given", "status", "sentence"),
    [
        ({}, ["lookahead:=9"], 2, "lookahead must be between 0 and 2 for this model, got 9"),
        ({"max_people": 0}, [], 2, "parameter 'max_people' must be between 1 and 1000, got 0"),
        ({"detector": "magic.onnx"}, [], 4, "detector 'magic.onnx' does not exist"),
    ],
)
def test_what_only_the_node_can_refuse_is_its_end_in_the_launchs_words(
    ros, models, filed, given, status, sentence
) -> None:
    launch = ros.launch(params_file(ros, models, **filed), *given)
    assert exit_status(launch) == status
    assert sentence in launch.log
    assert "Traceback" not in launch.log


def test_a_node_that_fails_at_its_work_ends_with_status_1(ros, models, hand) -> None:
    site = ros.folder / "site"
    site.mkdir()
    fault = f"import sys\nif 'sdtc_ros.node' in sys.orig_argv:\n    exec({FAILING_PIPELINE!r})\n"
    (site / "sitecustomize.py").write_text(fault)
    ros.env["PYTHONPATH"] = os.pathsep.join([str(site), ros.env["PYTHONPATH"]])
    launch = ros.launch(params_file(ros, models, lookahead=0), "image:=/camera/image_raw")
    launch.wait_for("waiting for images on")
    hand.camera("/camera/image_raw")
    for number in range(12):
        hand.image("/camera/image_raw", number)
        hand.spin(0.3)
    assert exit_status(launch) == 1
    assert "RuntimeError: the engine is on fire" in launch.log
    assert "frames received = 3 answered" in launch.log, "and says what became of the others"
