# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The live node under a real ROS 2: launched, fed over DDS, listened to, interrupted."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import scene
from conftest import exit_status

from sdtc_ros.skeleton import POSETRACK

CAMERA = "camera_optical_frame"
# the node, saying so whenever it draws
COUNTS_DRAWINGS = """
import sys
import sdtc_ros.node.__main__, sdtc_ros.node.output.annotated_images
draw = sdtc_ros.node.output.annotated_images.annotated_image
told = lambda *given: (print("a picture is drawn", flush=True), draw(*given))[1]
sdtc_ros.node.output.annotated_images.annotated_image = told
sys.exit(sdtc_ros.node.__main__.main())
"""


def answered(recorded: dict) -> list[int]:
    """The numbers of the frames whose poses came back, after checks that hold for any stream of the scene."""
    numbers = [scene.number_of(message["stamp"]) for message in recorded["poses"]]
    assert numbers == sorted(set(numbers))
    for message in recorded["poses"]:
        assert message["frame_id"] == CAMERA
        assert message["stamps_of_people"] == [message["stamp"]]
        assert tuple(message["joints"]) == POSETRACK.joints
    return numbers


def check_windows(recorded: dict) -> list[int]:
    """Every joint shows the right frame of the right window; returns the frames answered."""
    numbers = answered(recorded)
    ids = {tuple(message["ids"]) for message in recorded["poses"]}
    assert len(ids) == 1  # one person, one track
    for place, message in enumerate(recorded["poses"]):
        assert message["boxes"][0] == pytest.approx(scene.BOX.tolist(), abs=0.01)
        shown = scene.frames_of_joints(np.array(message["keypoints"][0], np.float32))
        window = scene.window_of(place, numbers)
        assert shown == pytest.approx([window[k % len(window)] for k in range(len(shown))], abs=0.01)
    return numbers


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8"])
def test_poses_bear_the_keyframes_header_and_show_its_window(ros, pose_node, encoding) -> None:
    node = pose_node("max_gap:=5.0", "statistics_period:=1", "max_silence:=0.0")
    numbers = check_windows(ros.peer("--encoding", encoding, "--frames", "20", "--patient", "3"))
    assert len(numbers) >= 18  # a best-effort image may be lost on its way; the answers must be right all the same
    assert numbers[-1] == 19, "the last frames are answered when the camera falls silent"
    node.wait_for("latency ")
    assert "WARN" not in node.log


def test_lookahead_0_answers_at_once_and_namespaces_place_the_topics(ros, pose_node) -> None:
    node = pose_node("lookahead:=0", "namespace:=front", "max_gap:=60.0")
    recorded = ros.peer("--frames", "8", "--patient", "1", "--poses", "/front/sdtc/poses")
    assert answered(recorded)[-1] == 7  # within a minute nothing is flushed: the newest frame itself was answered
    assert "publishing poses on /front/sdtc/poses" in node.log


def test_compressed_transport(ros, pose_node) -> None:
    node = pose_node("transport:=compressed", "max_gap:=5.0")
    assert "waiting for images on /camera/image_raw/compressed" in node.log
    assert len(check_windows(ros.peer("--compressed", "--frames", "8", "--patient", "3"))) >= 6


def test_annotated_image_only_for_a_subscriber(ros, pose_node) -> None:
    pose_node("max_gap:=5.0")
    recorded = ros.peer("--annotated", "--frames", "10", "--patient", "3")
    poses = {message["stamp"] for message in recorded["poses"]}
    assert len(recorded["annotated"]) >= 8
    for picture in recorded["annotated"]:
        assert picture["stamp"] in poses
        assert picture["frame_id"] == CAMERA
        assert (picture["encoding"], picture["size"]) == ("bgr8", [scene.WIDTH, scene.HEIGHT])
        assert picture["step"] == 3 * scene.WIDTH
        assert picture["differs"] > 100, "nothing is drawn on it"


def test_nothing_is_drawn_while_nobody_listens(ros, models) -> None:
    parameters = [word for argument in models for word in ("-p", argument)]
    node = ros.start(sys.executable, "-c", COUNTS_DRAWINGS, "--ros-args", "-r", "image:=/camera/image_raw", *parameters)
    node.wait_for("waiting for images on")
    assert len(ros.peer("--frames", "6", "--patient", "3")["poses"]) >= 4
    assert "a picture is drawn" not in node.log
    ros.peer("--annotated", "--frames", "6", "--patient", "3")
    assert node.log.count("a picture is drawn") >= 4
    drawn = node.log.count("a picture is drawn")
    assert len(ros.peer("--frames", "6", "--patient", "3")["poses"]) >= 4  # and the listener has gone
    assert node.log.count("a picture is drawn") == drawn


def test_damaged_frames_are_named_counted_and_survived(ros, pose_node) -> None:
    node = pose_node("max_silence:=0.0")
    numbers = answered(ros.peer("--damage", "--frames", "12", "--hz", "4"))
    assert numbers[-1] == 11
    assert not set(scene.DAMAGED) & set(numbers)
    warned = [float(seconds) for seconds in re.findall(r"\[WARN\] \[([\d.]+)\]", node.log)]
    assert len(warned) == 1 or (len(warned) == 2 and warned[1] - warned[0] > 4.5), "at most one in five seconds"
    assert "unknown image encoding 'secret7'" in node.log
    assert CAMERA in node.log
    node.interrupt()
    assert "+ 2 damaged + 0 waiting" in node.log


def test_ctrl_c_ends_the_launch_cleanly(ros, pose_node) -> None:
    node = pose_node()
    ros.peer("--frames", "4")
    node.interrupt()
    assert exit_status(node) == 0
    assert "Traceback" not in node.log
    assert "frames received =" in node.log


def test_ctrl_c_takes_less_than_two_seconds(ros, models) -> None:
    parameters = [word for argument in models for word in ("-p", argument)]
    # a whole number for a real parameter is what everybody writes
    node = ros.start(sys.executable, "-m", "sdtc_ros.node", "--ros-args", *parameters, "-p", "max_gap:=2")
    node.wait_for("waiting for images on /image")
    assert node.interrupt() < 2.0
    assert node.process.returncode == 0
    assert "Traceback" not in node.log


def test_ctrl_c_while_it_loads_is_no_traceback(ros, models) -> None:
    parameters = [word for argument in models for word in ("-p", argument)]
    node = ros.start(sys.executable, "-v", "-m", "sdtc_ros.node", "--ros-args", *parameters)  # -v tells the imports
    node.wait_for("import 'rclpy.node'")
    assert node.interrupt() < 2.0
    assert node.process.returncode == 0
    assert "Traceback" not in node.log
    assert "waiting for images" not in node.log


@pytest.mark.parametrize(
    ("wrong", "status", "sentence"),
    [
        ("detector:=magic", 2, "parameter 'detector' must be person, topic or the path of an .onnx file, not 'magic'"),
        ("detector:=magic.onnx", 4, "detector 'magic.onnx' does not exist"),
        ("crop_drift_threshold:=7.5", 2, "parameter 'crop_drift_threshold' must be between 0 and 1, got 7.5"),
        ("threads:=many", 2, "parameter 'threads' must be a whole number of 0 to 1024, not 'many'"),
        ("lookahead:=9", 2, "lookahead must be between 0 and 2 for this model, got 9"),
        ("provider:=x", 2, "parameter 'provider' must be one of cpu, cuda, tensorrt, tensorrt-direct, not 'x'"),
    ],
)
def test_bad_parameters_end_it_with_a_sentence(ros, models, wrong, status, sentence) -> None:
    name = wrong.split(":=")[0]
    parameters = [*(argument for argument in models if not argument.startswith(name)), wrong]
    node = ros.run(sys.executable, "-m", "sdtc_ros.node", "--ros-args", *(w for p in parameters for w in ("-p", p)))
    assert node.returncode == status, node.stdout
    assert sentence in node.stdout
    assert node.stdout.startswith("[FATAL]")
    assert "Traceback" not in node.stdout


def test_a_missing_bundle_ends_the_launch_with_a_sentence(ros) -> None:
    node = ros.launch("bundle:=/nowhere/model")
    assert exit_status(node) == 4
    assert "model bundle '/nowhere/model' is not a folder" in node.log
    assert "Traceback" not in node.log


def test_a_bundle_whose_file_changed_is_refused(ros, models) -> None:
    folder = Path(models[0].split(":=")[1])
    copy = ros.folder / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    with (copy / "encoder.onnx").open("ab") as stream:
        stream.write(b"\0")
    node = ros.run(sys.executable, "-m", "sdtc_ros.node", "--ros-args", "-p", f"bundle:={copy}")
    assert node.returncode == 4
    assert "encoder.onnx' does not match model.json" in node.stdout


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("params_file:=/nowhere.yaml", "params_file '/nowhere.yaml' does not exist"),
        ("max_gap:=soon", "parameter 'max_gap' must be a number of 0.001 to 3600, not 'soon'"),
        ("max_gap:=0", "parameter 'max_gap' must be between 0.001 and 3600, got 0.0"),
    ],
)
def test_bad_launch_arguments_start_nothing(ros, wrong, sentence) -> None:
    launch = ros.run("ros2", "launch", Path(__file__).parents[2] / "launch" / "pose.launch.py", wrong)
    assert launch.returncode == 1
    assert sentence in launch.stdout
    assert "process started" not in launch.stdout


def test_show_args_describes_every_parameter(ros) -> None:
    from sdtc_ros.node.parameters import PARAMETERS

    shown = ros.run("ros2", "launch", Path(__file__).parents[2] / "launch" / "pose.launch.py", "--show-args").stdout
    for parameter in PARAMETERS:
        assert f"'{parameter.name}':\n        {parameter.description}" in shown
