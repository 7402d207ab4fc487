# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the launch files make of their arguments and of params_file: they are executed up to the processes' start."""

from __future__ import annotations

import json
import sys
from typing import Any

from conftest import ROOT

# for every [file, parameter of an including launch file, arguments] prints the words of the processes that would start,
# with the parameters that they give the node; or the sentence that the launch file refuses with
READS = """
import json, sys
from pathlib import Path
from launch import LaunchContext
from launch.actions import ExecuteProcess
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import SetParameter
from sdtc_ros.errors import UsageError
from sdtc_ros.node.params_file import parameters_in
def start(process, context):
    words = ["".join(part.perform(context) for part in parts) for parts in process.cmd]
    parameters = {}
    for before, word in zip(words, words[1:]):
        if before == "--params-file":
            parameters |= parameters_in(Path(word), "/sdtc_pose")
        if before == "-p":
            parameters |= [word.split(":=")]
    started.append([words, parameters])
ExecuteProcess.execute = start
def visit(entity, context):
    for one in entity.visit(context) or []:
        visit(one, context)
told = []
for path, above, arguments in json.loads(sys.argv[1]):
    started, context = [], LaunchContext()
    context.launch_configurations.update(argument.split(":=", 1) for argument in arguments)
    for name, value in above.items():
        SetParameter(name, value).execute(context)
    try:
        visit(PythonLaunchDescriptionSource(path).get_launch_description(context), context)
        told.append(started)
    except UsageError as error:
        told.append(str(error))
print(json.dumps(told))
"""
# what evaluate.launch.py makes of the ends of processes
ENDS = """
import json, sys
from types import SimpleNamespace
from launch.launch_description_sources.python_launch_file_utilities import load_python_launch_file_as_module
ended = load_python_launch_file_as_module(sys.argv[1])._ended
context = SimpleNamespace(is_shutdown=False, launch_configurations={"name": "eyes"})
told = []
for words, status in json.loads(sys.argv[2]):
    try:
        told.append(len(ended(SimpleNamespace(cmd=words, returncode=status), context)))
    except Exception as error:
        told.append(str(error))
print(json.dumps(told))
"""
EVALUATED = ["input:=bag", "out:=results"]


def launched(ros: Any, name: str, *cases: list[str], above: dict[str, Any] | None = None) -> list[Any]:
    """For every case what would be started (words and parameters of each process), or the sentence of the refusal."""
    asked = [[str(ROOT / "launch" / name), above or {}, arguments] for arguments in cases]
    done = ros.run(sys.executable, "-c", READS, json.dumps(asked), seconds=180.0)
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout.splitlines()[-1])


def params_file(ros: Any, **values: Any) -> str:
    path = ros.folder / f"{len(list(ros.folder.glob('*.json')))}.json"  # which is YAML too
    path.write_text(json.dumps({"/**": {"ros__parameters": values}}))
    return f"params_file:={path}"


def test_the_simulated_time_may_be_asked_for_anywhere(ros) -> None:
    filed, empty = params_file(ros, use_sim_time=True), params_file(ros)
    cases = [[empty], [filed], [filed, "use_sim_time:=false"], [empty, "use_sim_time:=true"]]
    nodes = [node for (node,) in launched(ros, "pose.launch.py", *cases)]
    assert [parameters.get("use_sim_time") for _, parameters in nodes] == [None, True, False, True]
    (including,) = launched(ros, "pose.launch.py", [empty], above={"use_sim_time": True})
    assert including[0][1]["use_sim_time"] == "True"


def test_cameras_of_params_file_get_the_launch_files_topics(ros) -> None:
    filed = params_file(ros, cameras=["front", "rear"])
    cases = [[filed, "image:=/{camera}/image_raw"], [filed, "image:=/{camera}/image_raw", "cameras:=[left]"]]
    ((ours, parameters),), ((theirs, _),) = launched(ros, "pose.launch.py", *cases)
    assert {"front/image:=/front/image_raw", "rear/image:=/rear/image_raw"} <= set(ours)
    assert parameters["cameras"] == ["front", "rear"]
    assert "left/image:=/left/image_raw" in theirs
    assert not any("front" in word for word in theirs)


def test_topics_that_do_not_fit_the_cameras_are_refused(ros) -> None:
    one, none, wrong = (params_file(ros, cameras=cameras) for cameras in (["front"], [], ["2nd"]))
    cases = [[one, "image:=/cam/image_raw"], [none, "image:=/{camera}/image_raw"], [wrong]]
    assert launched(ros, "pose.launch.py", *cases) == [
        "with `cameras`, argument 'image' must say where each one's is: it lacks {camera}",
        "argument 'image' has {camera} in it, but neither `cameras` nor params_file names any",
        "parameter 'cameras' must hold valid ROS names (letters, digits, _), not '2nd'",
    ]


def test_the_evaluation_knows_what_params_file_says_of_the_node(ros) -> None:
    filed = params_file(ros, bundle="/models/large", lookahead=0, transport="compressed", use_sim_time=True)
    cases = [*EVALUATED, filed], [*EVALUATED, filed, "lookahead:=1", "use_sim_time:=false"]
    by_file, by_argument = launched(ros, "evaluate.launch.py", *cases)
    (_, parameters), (words, _) = by_file
    for option, value in (("--bundle", "/models/large"), ("--lookahead", "0"), ("--transport", "compressed")):
        assert words[words.index(option) + 1] == value
    assert "--clock" in words
    assert parameters["bundle"] == "/models/large"
    assert "qos_overrides./image/compressed.subscription.reliability" in parameters
    (_, parameters), (words, _) = by_argument
    assert words[words.index("--lookahead") + 1] == "1"
    assert "--clock" not in words
    assert (parameters["lookahead"], parameters["use_sim_time"]) == (1, False)


def test_the_evaluation_refuses_the_cameras_of_params_file(ros) -> None:
    filed = params_file(ros, cameras=["front", "rear"])
    assert launched(ros, "evaluate.launch.py", [*EVALUATED, filed]) == [
        "evaluate.launch.py evaluates one camera: leave `cameras` out, in params_file too"
    ]


def test_the_evaluation_ends_with_its_own_end_or_the_nodes_not_with_rviz(ros) -> None:
    rviz, node, evaluation = ["rviz2", "-d", "x"], ["python3", "-r", "__node:=eyes"], ["-r", "__node:=sdtc_evaluation"]
    cases = [[rviz, 0], [rviz, 1], [node, 0], [node, 4], [evaluation, 0], [evaluation, 3]]
    done = ros.run(sys.executable, "-c", ENDS, ROOT / "launch" / "evaluate.launch.py", json.dumps(cases))
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout.splitlines()[-1]) == [
        0,
        0,
        "the node ended with status 0; why is in its log above",
        "the node ended with status 4; why is in its log above",
        1,  # the shutdown of all
        "the evaluation ended with status 3; why is in its log above",
    ]
