# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The live node, evaluated: ros2 launch sdtc_ros evaluate.launch.py input:=bag/ out:=results/ truth:=bag.json.

Starts the node of pose.launch.py with all its arguments, sends it the input's frames, records and evaluates its
answers, and ends: with status 0 where all went well. With rate:=0, the default, the next frame is sent when the node
has answered, so that none is dropped: the poses are then those of `python -m sdtc_ros replay`, frame for frame.
"""

import re
import sys
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    SetLaunchConfiguration,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node, SetParameter

from launch import LaunchContext, LaunchDescription
from sdtc_ros.errors import UsageError
from sdtc_ros.node.launch_arguments import check_arguments
from sdtc_ros.node.params_file import node_name, parameters_in

_NAME = "sdtc_evaluation"
_POSE = Path(__file__).resolve().with_name("pose.launch.py")
_PARAMS_FILE = _POSE.parent.parent / "config" / "pose.yaml"  # pose.launch.py's default
_FROM_FILE = ("bundle", "lookahead", "transport", "use_sim_time")  # what the evaluation must know of the node
_TOPICS = {"image": "image", "detections": "detections", "poses": "sdtc/poses"}
_ARGUMENTS = {
    "input": (None, "a rosbag2 (folder, .mcap, .db3), a video, a folder of images"),
    "out": (None, "folder for the results: poses_bag/, posetrack/NAME.json, live.json, evaluation.json"),
    "truth": ("", "annotations (PoseTrack JSON file, or their folder); adds the AP"),
    "boxes": ("", "person boxes to send on `detections`: truth, or a .json file's; the node then runs detector:=topic"),
    "rate": ("0", "times the recorded speed; 0: each frame once the one before is published, so none is dropped"),
    "topic": ("", "the bag's image topic; required if it has several"),
    "start": ("0", "number of the first frame"),
    "frames": ("", "how many frames (by default all)"),
    "video": ("false", "write an annotated video too"),
    "overwrite": ("false", "replace the results of an earlier run in `out`"),
    "timeout": ("20", "seconds after which a frame without poses counts as lost"),
    "patience": ("", "former name of timeout, which it overrides"),
    "start_timeout": ("600", "seconds to wait for the node to be active (an engine may have to be built)"),
}


def generate_launch_description() -> LaunchDescription:
    """Arguments, the node, the evaluation, and the end when either has ended."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in _ARGUMENTS.items()
    ]
    return LaunchDescription(
        [
            *arguments,
            OpaqueFunction(function=_settings),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(_POSE))),
            OpaqueFunction(function=_evaluation),
            RegisterEventHandler(OnProcessExit(on_exit=_ended)),
        ]
    )


def _settings(context: LaunchContext) -> list[SetLaunchConfiguration | SetParameter]:
    """What of the node's settings follows from the evaluation's."""
    nodes_own = PythonLaunchDescriptionSource(str(_POSE)).get_launch_description(context).get_launch_arguments()
    check_arguments(sys.argv, Path(__file__).name, [*_ARGUMENTS, *(argument.name for argument in nodes_own)])
    given = dict(context.launch_configurations)
    filed = parameters_in(Path(given.get("params_file") or _PARAMS_FILE), node_name(given))
    known = {name: str(filed[name]) for name in _FROM_FILE if not given.get(name) and filed.get(name, "") != ""}
    settings: list[SetLaunchConfiguration | SetParameter] = [SetLaunchConfiguration(*pair) for pair in known.items()]
    given |= known
    if given["boxes"]:
        settings.append(SetLaunchConfiguration("detector", "topic"))
    if not re.fullmatch(r"\d+\.?\d*|\.\d+", given["rate"]):
        raise UsageError(f"'rate' must be a number of 0 or more, not '{given['rate']}'")
    if (given.get("cameras") or str(filed.get("cameras") or "")).strip("[] "):
        raise UsageError("evaluate.launch.py evaluates one camera: leave `cameras` out, in params_file too")
    if float(given["rate"]) == 0:  # no frame may be dropped: the network must lose none, and the node must not hurry
        settings += [SetLaunchConfiguration(name, "3600") for name in ("max_wait", "lookahead_wait")]
        settings += [
            SetParameter(f"qos_overrides.{topic}.subscription.reliability", "reliable")
            for topic in (_topic(given, "image"), _topic(given, "detections"))
        ]
    return settings


def _topic(given: dict[str, str], name: str) -> str:
    """The full name of the topic that the node hears as `name`."""
    topic, namespace = given.get(name, name), given.get("namespace", "").strip("/")
    topic = topic if topic.startswith("/") else "/".join(["", *filter(None, [namespace, topic])])
    return topic + "/compressed" if name == "image" and given.get("transport") == "compressed" else topic


def _evaluation(context: LaunchContext) -> list[Node]:
    given = context.launch_configurations
    words = [given["input"], "--out", given["out"], "--rate", given["rate"], "--start", given["start"]]
    words += ["--node", given["name"]]
    for name in ("truth", "boxes", "topic", "frames", "bundle", "lookahead", "transport", "start_timeout"):
        if given[name]:
            words += [f"--{name.replace('_', '-')}", given[name]]
    words += ["--timeout", given["patience"] or given["timeout"]]
    words += [f"--{name}" for name in ("video", "overwrite") if given[name].lower() == "true"]
    words += ["--clock"] if given["use_sim_time"].lower() == "true" else []
    return [
        Node(
            **_executable(words),
            name=_NAME,
            namespace=given["namespace"],
            output="screen",
            remappings=[(ours, given[name]) for name, ours in _TOPICS.items()],
        )
    ]


def _executable(words: list[str]) -> dict[str, object]:
    """As pose.launch.py's: the installed executable, or the module."""
    try:
        get_package_prefix("sdtc_ros")
    except PackageNotFoundError:
        return {"executable": "python3", "arguments": ["-m", "sdtc_ros.tools.evaluate_live", *words]}
    return {"package": "sdtc_ros", "executable": "evaluate_live", "arguments": words}


def _ended(event: ProcessExited, context: LaunchContext) -> list[EmitEvent]:
    """End all when the evaluation has ended, or when the node has ended before it; fail where that was a failure."""
    names = {f"__node:={_NAME}": "the evaluation", f"__node:={context.launch_configurations['name']}": "the node"}
    who = next((names[word] for word in event.cmd if word in names), "")  # neither: RViz, which may be closed
    if context.is_shutdown or not who:
        return []
    if event.returncode or who == "the node":
        raise UsageError(f"{who} ended with status {event.returncode}; why is in its log above")
    return [EmitEvent(event=Shutdown(reason="the evaluation is done"))]
