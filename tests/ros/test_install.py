# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The package as a colcon workspace's: built, tested, found and started from the install space, copied or linked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT, Ros, exit_status, ros_or_skip

EXECUTABLES = ("evaluate_live", "play_images", "pose_node")


@dataclass
class Workspace:
    """A built workspace: processes of it run with nothing of the source tree on their path."""

    folder: Path
    ros: Ros

    def words(self, *command: str | Path) -> list[str]:
        script = f'source "{self.folder}/install/local_setup.bash" && exec "$@"'
        return ["bash", "-c", script, "bash", *map(str, command)]

    def run(self, *command: str | Path) -> str:
        done = self.ros.run(*self.words(*command))
        assert done.returncode == 0, done.stdout
        return done.stdout


def colcon(folder: Path, verb: str, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a verb of colcon, under the Python that runs the tests where it has colcon, for a workspace in `folder`."""
    program = [sys.executable, "-m", "colcon"] if find_spec("colcon_core") else ["colcon"]
    return subprocess.run(
        [*program, "--log-base", str(folder / "log"), verb, "--base-paths", str(ROOT), "--build-base",
         str(folder / "build"), "--install-base", str(folder / "install"), *arguments],
        env=env, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module", params=["copied", "linked"])
def workspace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    environment = ros_or_skip()
    if not (find_spec("colcon_core") or shutil.which("colcon")):
        pytest.skip("colcon is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    paths = [path for path in environment["PYTHONPATH"].split(os.pathsep) if path and Path(path) != ROOT]
    ros = Ros(folder, environment | {"PYTHONPATH": os.pathsep.join(paths)})
    built = colcon(folder, "build", *["--symlink-install"] * (request.param == "linked"), env=ros.env)
    assert built.returncode == 0, built.stdout
    assert "1 package finished" in built.stdout
    yield Workspace(folder, ros)
    ros.close()


def test_it_is_imported_from_the_workspace_and_complete(workspace: Workspace) -> None:
    code = "import sdtc_ros.models.bundle as b; print(b.__file__, b.load_bundle(b.default_bundle()).name)"
    imported, model = workspace.run("python3", "-c", code).split()
    assert workspace.folder in Path(imported).parents
    assert model == "sdtc-lite"
    share = workspace.folder / "install" / "sdtc_ros" / "share" / "sdtc_ros"
    for part in ("package.xml", "config/pose.yaml", "config/pose.rviz"):
        assert (share / part).is_file()


def test_ros2_finds_it(workspace: Workspace) -> None:
    found = workspace.run("ros2", "pkg", "executables", "sdtc_ros").splitlines()
    assert {f"sdtc_ros {name}" for name in EXECUTABLES} <= set(found)
    for launch_file in ("pose.launch.py", "evaluate.launch.py"):
        shown = workspace.run("ros2", "launch", "sdtc_ros", launch_file, "--show-args")
        assert "'lookahead':\n        later frames that a keyframe waits for" in shown
        assert "/config/pose.yaml" in shown
    assert "usage: play_images" in workspace.run("ros2", "run", "sdtc_ros", "play_images", "--help")


def test_ros2_run_starts_the_node(workspace: Workspace, models: list[str]) -> None:
    parameters = [word for argument in models for word in ("-p", argument)]
    node = workspace.ros.start(*workspace.words("ros2", "run", "sdtc_ros", "pose_node", "--ros-args", *parameters))
    node.wait_for("waiting for images on /image")
    node.interrupt()
    assert "Traceback" not in node.log
    assert "frames received =" in node.log


def test_ros2_launch_starts_the_node(workspace: Workspace, models: list[str]) -> None:
    node = workspace.ros.start(*workspace.words("ros2", "launch", "sdtc_ros", "pose.launch.py", "name:=eyes", *models))
    node.wait_for("[eyes]: waiting for images on /image")
    node.interrupt()
    assert exit_status(node) == 0


def test_colcon_test_runs_the_suite(workspace: Workspace) -> None:
    if not find_spec("colcon_core"):
        pytest.skip(f"colcon runs tests under its own Python, and {sys.executable} has no colcon")
    env = workspace.ros.env
    tested = colcon(workspace.folder, "test", "--pytest-args", "tests/messages/test_messages.py", env=env)
    assert tested.returncode == 0, tested.stdout
    results = workspace.folder / "build" / "sdtc_ros" / "pytest.xml"
    assert 'failures="0"' in results.read_text()
    assert "test_messages" in results.read_text()
