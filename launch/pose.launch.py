# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Poses of one camera: ros2 launch sdtc_ros pose.launch.py image:=/camera/image_raw.

Several cameras with one model: cameras:='[front, rear]' image:='/{camera}/image_raw', where {camera} stands for each
one's name; params_file may name them too. (A node of its own for each camera: launch it several times, with other
namespaces.)
Every parameter of the node is an argument; one that is not given is taken from `params_file`. Arguments with
descriptions: ros2 launch sdtc_ros pose.launch.py --show-args.
"""

import sys
from contextlib import suppress
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch.utilities.type_utils import coerce_to_type
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription
from sdtc_ros.errors import UsageError
from sdtc_ros.node.launch_arguments import check_arguments, is_launched, python_prefix
from sdtc_ros.node.parameters import PARAMETERS, Parameter
from sdtc_ros.node.params_file import node_name, parameters_in

_CAMERAS = next(parameter for parameter in PARAMETERS if parameter.name == "cameras")
_PARAMS_FILE = Path(__file__).resolve().parent.parent / "config" / "pose.yaml"
_ARGUMENTS = {
    "image": (
        "image",
        "the camera's image topic (with transport:=compressed: its base name); with `cameras`, {camera} in it and in "
        "the other topics stands for each one's name, and what is not given is {camera}/image and so on",
    ),
    "detections": ("detections", "with detector:=topic, the person boxes' topic (vision_msgs/Detection2DArray)"),
    "poses": ("sdtc/poses", "topic of the poses (vision_msgs/Detection2DArray)"),
    "annotated": ("sdtc/image_annotated", "topic of the annotated images, drawn only while somebody listens"),
    "namespace": ("", "namespace of node and topics: one a camera"),
    "name": ("sdtc_pose", "the node's name"),
    "params_file": (str(_PARAMS_FILE), "parameters of the node, a YAML file"),
    "rviz": ("false", "true: start rviz2 too; or the frame that it shows all in: the images' header.frame_id"),
    "use_sim_time": (
        "",
        "true: take the time from /clock (a bag played with --clock, a simulator); by default as params_file, or a "
        "launch file that includes this one, says",
    ),
    "log_level": ("info", "debug, info, warn, error or fatal"),
}


def generate_launch_description() -> LaunchDescription:
    """Arguments, and the node."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in _ARGUMENTS.items()
    ]
    parameters = [
        DeclareLaunchArgument(parameter.name, default_value="", description=_description(parameter))
        for parameter in PARAMETERS
    ]
    return LaunchDescription([*arguments, *parameters, OpaqueFunction(function=_node)])


def _description(parameter: Parameter) -> str:
    limits = "" if parameter.low is None else f"; {parameter.low:g} to {parameter.high:g}"
    default = f"{str(parameter.default).lower()}, or " if parameter.default != "" else ""
    return f"{parameter.description}{limits} (by default {default}what params_file says)"


def _node(context: LaunchContext) -> list[Node]:
    given = context.launch_configurations
    check_arguments(sys.argv, Path(__file__).name, [*_ARGUMENTS, *(parameter.name for parameter in PARAMETERS)])
    filed = parameters_in(Path(given["params_file"]), node_name(given))
    values = {parameter.name: _value(parameter, given) for parameter in PARAMETERS if given[parameter.name]}
    parameters = {name: _typed(value) for name, value in values.items()}
    if given["use_sim_time"]:
        parameters["use_sim_time"] = ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)
    cameras = values.get("cameras", _CAMERAS.accept(filed.get("cameras")))
    return [
        *_rviz(given, cameras),  # first: where it is not installed the launch ends, and would leave the node behind
        Node(
            **_executable(),
            name=LaunchConfiguration("name"),
            namespace=LaunchConfiguration("namespace"),
            output="screen",
            ros_arguments=["--log-level", given["log_level"]],
            remappings=_remappings(given, cameras),
            parameters=[given["params_file"], parameters],
            on_exit=_ended,
        ),
    ]


def _value(parameter: Parameter, given: dict[str, str]) -> object:
    """An argument as the parameter's value; raises UsageError for one that it must not have, before anything starts."""
    kind, value = type(parameter.default), given[parameter.name]
    with suppress(ValueError):  # what cannot be read stays a text, and is refused as one
        value = coerce_to_type(value, list[str] if kind is list else kind)
    return parameter.accept(value)


def _typed(value: object) -> ParameterValue:
    """As launch_ros takes it for what it is: a bare text would be read as YAML."""
    return ParameterValue(value, value_type=list[str] if isinstance(value, list) else type(value))


def _remappings(given: dict[str, str], cameras: list[str]) -> list[tuple[str, str]]:
    """Where the topics go; raises UsageError where several cameras would get one topic, or there are none to name."""
    pairs = []
    for name, ours in _topics().items():
        if not cameras and "{camera}" in given[name]:
            raise UsageError(f"argument '{name}' has {{camera}} in it, but neither `cameras` nor params_file names any")
        if not cameras:
            pairs.append((ours, given[name]))
        elif "{camera}" in given[name]:
            pairs += [(f"{camera}/{ours}", given[name].replace("{camera}", camera)) for camera in cameras]
        elif given[name] != ours:
            raise UsageError(f"with `cameras`, argument '{name}' must say where each one's is: it lacks {{camera}}")
    return pairs


def _topics() -> dict[str, str]:
    return {name: _ARGUMENTS[name][0] for name in ("image", "detections", "poses", "annotated")}


def _rviz(given: dict[str, str], cameras: list[str]) -> list[Node]:
    """RViz on the topics of the node, the first camera's where there are several; none unless it is asked for."""
    frame = given["rviz"]
    if frame.lower() in ("false", ""):
        return []
    remappings = _remappings(given, cameras)
    if cameras:  # the configuration knows the topics of one camera, without its name
        others = [(f"{cameras[0]}/sdtc/markers",) * 2, (f"{cameras[0]}/camera_info",) * 2]
        own = [pair for pair in [*remappings, *others] if pair[0].startswith(f"{cameras[0]}/")]
        remappings = [(ours.removeprefix(f"{cameras[0]}/"), theirs) for ours, theirs in own]
    config = str(_PARAMS_FILE.with_name("pose.rviz"))
    arguments = ["-d", config] if frame.lower() == "true" else ["-d", config, "-f", frame]
    namespace = LaunchConfiguration("namespace")
    return [Node(package="rviz2", executable="rviz2", namespace=namespace, arguments=arguments, remappings=remappings)]


def _ended(event: ProcessExited, context: LaunchContext) -> None:
    """Have `ros2 launch` fail where the node did; a launch file that includes this one decides for itself."""
    if event.returncode and not context.is_shutdown and is_launched(sys.argv, Path(__file__).name):
        raise UsageError(f"the node ended with status {event.returncode}; why is in its log above")


def _executable() -> dict[str, object]:
    """The installed executable; without a colcon install (pip, the source tree), the module.

    Either way under the Python on PATH, a virtual environment's where one is active: with --symlink-install, colcon
    writes its own Python into the executable.
    """
    try:
        get_package_prefix("sdtc_ros")
    except PackageNotFoundError:
        prefix = python_prefix().removesuffix("python3")
        return {
            "prefix": prefix,
            "executable": "python3",
            "arguments": ["-m", "sdtc_ros.node"],
            "exec_name": "pose_node",
        }
    return {"prefix": python_prefix(), "package": "sdtc_ros", "executable": "pose_node", "exec_name": "pose_node"}
