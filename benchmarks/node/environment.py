# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What processes with ROS 2 are started in, by benchmarks and tests: its variables, and a DDS domain of their own.

A ROS 2 environment must be set before Python starts (LD_LIBRARY_PATH), so nothing here imports rclpy.
"""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from sdtc_ros.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
OPT_ROS = Path("/opt/ros")
DOMAINS = range(1, 100)
NEEDED = (
    "rclpy, launch_ros, ros2cli.cli, ros2launch.command.launch, vision_msgs.msg, sensor_msgs.msg, diagnostic_msgs.msg"
)


def ros_environment() -> Mapping[str, str]:
    """The environment variables of processes with ROS 2; raises UsageError, with the reason, where there is none."""
    found = _found()
    if isinstance(found, str):
        raise UsageError(found)
    return found


@lru_cache(maxsize=1)
def _found() -> dict[str, str] | str:
    """The variables, or why there are none: either takes seconds to find out."""
    setups = sorted(OPT_ROS.glob("*/setup.bash"))
    if "ROS_DISTRO" in os.environ:
        environment = dict(os.environ)
    elif setups and shutil.which("bash"):
        script = f'source "{setups[-1]}" >/dev/null && env -0'
        told = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        environment = dict(entry.split("=", 1) for entry in told.stdout.split("\0") if "=" in entry)
    else:
        return f"no ROS 2 is sourced, and there is none under {OPT_ROS}"
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), environment.get("PYTHONPATH", "")])
    # `python3` of the launch file must be the Python that runs this
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    environment["RCUTILS_COLORIZED_OUTPUT"] = "0"
    environment.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    command = [sys.executable, "-c", f"import {NEEDED}"]
    tried = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"ROS 2 is there, but {sys.executable} cannot use it: {tried.stderr.strip().splitlines()[-1]}"
    return environment


class Domain:
    """A DDS domain that no other test or benchmark on this machine has until `close`, or our end."""

    def __init__(self, number: int | None = None) -> None:
        """number: ROS_DOMAIN_ID (None: any of DOMAINS). Raises UsageError where it, or all of them, are taken."""
        for candidate in random.sample(DOMAINS, len(DOMAINS)) if number is None else [number]:
            lock = _locked(candidate)
            if lock is not None:
                self.number, self._lock = candidate, lock
                return
        which = "all DDS domains are" if number is None else f"DDS domain {number} is"
        raise UsageError(f"{which} taken by other tests or benchmarks on this machine")

    def close(self) -> None:
        """Let others have it; a second call does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _locked(domain: int) -> int | None:
    """A file descriptor that locks the domain for as long as it is open; None where another has it."""
    path = Path(tempfile.gettempdir()) / f"sdtc_ros_domain_{domain}.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:  # another user's
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock
