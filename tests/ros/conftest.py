# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Where there is a ROS 2 (sourced, or under /opt/ros): real processes in its environment. Elsewhere: skipped, with why.

Every test starts processes of its own, in a DDS domain that no other test on the machine has meanwhile.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.node.environment import ROOT, Domain, ros_environment
from sdtc_ros.errors import UsageError

__all__ = ["ROOT"]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # scene, fake_bundle


def ros_or_skip() -> dict[str, str]:
    """The environment variables of processes with ROS 2; skips the test, with the reason, where there are none."""
    try:
        found = ros_environment()
    except UsageError as error:
        pytest.skip(str(error))
    return {**found, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "OMP_NUM_THREADS": "1"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is marked `ros`."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.ros)


@dataclass
class Running:
    """A process and what it has written so far."""

    process: subprocess.Popen[str]

    def __post_init__(self) -> None:
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self.lines.extend, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def wait_for(self, text: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.log:
            if self.process.poll() is not None:
                self._reader.join(5)
            if not self._reader.is_alive() or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        if text not in self.log:
            pytest.fail(f"'{text}' was not logged within {seconds} s (exit {self.process.poll()}):\n{self.log}")

    def wait(self, seconds: float) -> int:
        """Wait for the end of the process and of what it has to say; returns its exit status."""
        status = self.process.wait(seconds)
        self._reader.join(5)  # a process that it left behind may hold the pipe open
        return status

    def interrupt(self, seconds: float = 20.0) -> float:
        """Ctrl-C, as a terminal sends it: to the whole process group; returns the seconds until it ended."""
        begin = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(seconds)
        took = time.monotonic() - begin
        self._reader.join(5)
        return took


class Ros:
    """Starts processes with ROS 2 in one DDS domain, which is its own until it is closed."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._domain = Domain()
        self.env = environment | {"ROS_DOMAIN_ID": str(self._domain.number), "ROS_LOG_DIR": str(folder / "log")}
        self._running: list[Running] = []

    def start(self, *command: str | Path, stdin: bool = False) -> Running:
        process = subprocess.Popen(
            [str(word) for word in command], env=self.env, cwd=self.folder, text=True, start_new_session=True,
            stdin=subprocess.PIPE if stdin else None, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        running = Running(process)
        self._running.append(running)
        return running

    def launch(self, *arguments: str) -> Running:
        """`ros2 launch` of the source tree's launch file."""
        return self.start("ros2", "launch", ROOT / "launch" / "pose.launch.py", *arguments)

    def run(self, *command: str | Path, seconds: float = 90.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command], env=self.env, cwd=self.folder, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=seconds, check=False,
        )  # fmt: skip

    def peer(self, *arguments: str | Path) -> dict[str, Any]:
        """Publish and record with peer.py; returns what it recorded."""
        out = self.folder / "peer.json"
        done = self.run(sys.executable, HERE / "peer.py", out, *arguments, seconds=180.0)
        assert done.returncode == 0, done.stdout
        return json.loads(out.read_text())

    def close(self) -> None:
        for running in self._running:
            with suppress(ProcessLookupError):  # also those of its group that outlive it
                os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
        for pid in daemons(self._domain.number):  # ros2 topic, param and others leave one for two hours
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._domain.close()


def daemons(domain: int) -> list[int]:
    """The processes of ros2cli's daemon in a DDS domain."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().decode(errors="replace").split("\0")
            if "ros2-daemon" in words and words[words.index("--ros-domain-id") + 1 :][:1] == [str(domain)]:
                found.append(int(path.parent.name))
    return found


@pytest.fixture
def ros(tmp_path: Path) -> Iterator[Ros]:
    made = Ros(tmp_path, ros_or_skip())
    yield made
    made.close()


@pytest.fixture
def hand(ros: Ros) -> Any:
    """A process that publishes, listens and calls services as the test tells it."""
    from hand import Hand

    return Hand(ros)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Launch arguments that name the arithmetic bundle and the detector of the scene."""
    from fake_bundle import make_bundle
    from scene import CROP, DELTA, make_detector

    folder = tmp_path_factory.mktemp("models")
    make_bundle(folder / "bundle", DELTA, CROP)
    return [f"bundle:={folder / 'bundle'}", f"detector:={make_detector(folder / 'detector.onnx')}"]


@pytest.fixture
def pose_node(ros: Ros, models: list[str]) -> Callable[..., Running]:
    """Launches the node for /camera/image_raw and waits until it is ready."""

    def launch(*arguments: str) -> Running:
        running = ros.launch("image:=/camera/image_raw", *models, *arguments)
        running.wait_for("waiting for images on")
        return running

    return launch


def exit_status(running: Running) -> int:
    """What the launched process ended with, by launch's own words."""
    running.wait(60)
    if found := re.search(r"process has died \[pid \d+, exit code (-?\d+)", running.log):
        return int(found[1])
    assert "process has finished cleanly" in running.log, running.log
    return 0
