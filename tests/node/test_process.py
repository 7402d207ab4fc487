# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The node's process before ROS has anything to do with it: its words, its signals, and what is not installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sdtc_ros.errors import UsageError
from sdtc_ros.node import loading
from sdtc_ros.node.launch_arguments import python_prefix
from sdtc_ros.node.loading import cannot_import, load
from sdtc_ros.node.parameters import PARAMETERS
from sdtc_ros.node.process import own_words

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
NODE = [sys.executable, "-m", "sdtc_ros.node"]
RCLPY = "print('importing', flush=True)\nimport time\ntime.sleep(60)\n"  # a ROS that takes its time


def environment(site: Path) -> dict[str, str]:
    """That of a Python whose rclpy never comes to an end of its import."""
    (site / "rclpy").mkdir(exist_ok=True)
    (site / "rclpy" / "__init__.py").write_text(RCLPY)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}


@pytest.mark.parametrize(
    ("words", "own"),
    [
        (["--ros-args", "-p", "a:=1"], []),
        (["--help", "--ros-args", "-p", "a:=1", "--", "more"], ["--help", "more"]),
        (["-p", "a:=1"], ["-p", "a:=1"]),
    ],
)
def test_words_outside_of_ros_args_are_ours(words: list[str], own: list[str]) -> None:
    assert own_words(words) == own


def test_help_is_help_and_starts_nothing(tmp_path: Path) -> None:
    """Without a ROS 2, and at once: rclpy is not imported."""
    done = subprocess.run(
        [*NODE, "--help"], env=environment(tmp_path), text=True, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert all(parameter.name in done.stdout for parameter in PARAMETERS)
    assert "--ros-args" in done.stdout


def test_a_word_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [*NODE, "image:=/camera"], env=environment(tmp_path), text=True, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "unrecognized arguments: image:=/camera" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_ros_is_imported_is_no_failure(tmp_path: Path, number: int) -> None:
    process = subprocess.Popen(
        NODE, env=environment(tmp_path), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(number)
    assert (process.wait(60), process.stdout.read()) == (0, "")


def test_a_signal_at_the_very_first_moment_waits_until_it_is_no_failure(tmp_path: Path) -> None:
    """As pose.launch.py starts it: the signals are held back while Python itself starts."""
    prefix = python_prefix().split()[:-1]
    if not prefix:
        pytest.skip("this system's env has no --block-signal (coreutils 8.31)")
    process = subprocess.Popen(
        [*prefix, *NODE], env=environment(tmp_path), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    while not Path(f"/proc/{process.pid}/exe").resolve().name.startswith("python"):
        pass  # env still runs, which blocks them
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.wait(60) == 0
    assert "Traceback" not in process.stdout.read()


def test_a_package_that_is_missing_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal without the virtual environment."""

    def without() -> None:
        raise ModuleNotFoundError("No module named 'supervision'", name="supervision")

    monkeypatch.setattr(loading, "_load_tracking", without)
    values = {parameter.name: parameter.default for parameter in PARAMETERS}
    with pytest.raises(UsageError, match="No module named 'supervision'; activate the virtual environment"):
        load(values)
    assert "source ROS 2's setup.bash" in str(cannot_import(ModuleNotFoundError("no", name="rclpy.node")))


def test_a_defect_of_ours_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def renamed() -> None:
        raise ImportError("cannot import name 'x'", name="sdtc_ros.tracking.tracker")

    monkeypatch.setattr(loading, "_load_tracking", renamed)
    with pytest.raises(ImportError, match="cannot import name 'x'"):
        load({parameter.name: parameter.default for parameter in PARAMETERS})
