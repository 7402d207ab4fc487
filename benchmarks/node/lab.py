# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Processes with ROS 2 for a measurement: started in a DDS domain of their own, watched, and all ended at its end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.node.environment import ROOT, Domain, ros_environment
from benchmarks.node.figures import Sample, node_pid
from sdtc_ros.errors import InputError

LAUNCH = ROOT / "launch" / "pose.launch.py"
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # all as Ctrl-C: what was started must end
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
TIMEOUT = 20.0  # seconds, for a process that was told to end
END_SECONDS = 5.0  # for a process to end of itself, before it is killed


class Part:
    """One process of a measurement, and what it writes into its log."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name, self.process, self._log = name, process, log

    @property
    def log(self) -> str:
        """All that it has written so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def wait_for(self, text: str, seconds: float = 60.0, times: int = 1) -> None:
        """Until it has written `text` so often; raises InputError where it ends before, or does not in `seconds`."""
        self.wait_until(lambda: self.log.count(text) >= times, f"'{text}'", seconds)

    def wait_until(self, met: Callable[[], bool], what: str, seconds: float) -> None:
        """Likewise for any condition."""
        deadline = time.monotonic() + seconds
        while not met():
            if not self.alive or time.monotonic() > deadline:
                raise self.failure(f"did not come to {what} within {seconds:g} s")
            time.sleep(0.02)

    def failure(self, why: str) -> InputError:
        """The error that says what went wrong, with the end of the log."""
        status = "it runs" if self.alive else f"it ended with {self.process.returncode}"
        lines = "\n  ".join(self.log.strip().splitlines()[-15:])
        return InputError(f"process '{self.name}' {why} ({status}); its last lines:\n  {lines}")

    def interrupt(self) -> None:
        """Ctrl-C, as a terminal sends it, to the whole group; then as `ended`."""
        self._signal(signal.SIGINT)
        self.ended()

    def ended(self) -> None:
        """Wait for its end; raises InputError where it does not come."""
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            raise self.failure(f"did not end within {TIMEOUT:g} s") from None

    def kill(self) -> None:
        """Kill -9 for the whole group, and wait for it."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


class NodePart(Part):
    """The node as `ros2 launch` started it, with a process of its own under launch's."""

    pid: int = 0

    def ready(self, cameras: int) -> None:
        """Wait until it hears its cameras, and learn its process id."""
        self.wait_for("waiting for images on", 120.0, times=cameras)
        self.pid = node_pid(self.log) or 0

    def sample(self) -> Sample:
        """Its memory and processor time now; raises InputError where it is gone."""
        try:
            return process_sample(self.pid)
        except OSError:
            raise self.failure("has lost its node") from None

    def kill_node(self) -> None:
        """Kill -9 for the node alone; launch then ends of itself (see `ended`)."""
        os.kill(self.pid, signal.SIGKILL)


class Lab:
    """Starts processes and ends all of them at the end of the `with` block, whatever ends it."""

    def __init__(self, folder: Path, domain: int | None = None) -> None:
        """folder: for logs and records; domain: ROS_DOMAIN_ID (None: a free one).

        Raises UsageError without ROS 2, and where the domain is taken (see Domain).
        """
        environment = ros_environment()
        self.folder, self._domain = folder, Domain(domain)
        self.environment = dict(environment) | {
            "ROS_DOMAIN_ID": str(self._domain.number), "ROS_LOG_DIR": str(folder / "ros"),
            "RCUTILS_LOGGING_USE_STDOUT": "1", "PYTHONUNBUFFERED": "1",
        }  # fmt: skip
        self.parts: list[Part] = []

    def __enter__(self) -> Lab:
        self._before = [signal.signal(number, _interrupted) for number in ENDS]
        return self

    def __exit__(self, *_: object) -> None:
        for number in ENDS:  # a second Ctrl-C must not leave processes behind
            signal.signal(number, signal.SIG_IGN)
        self.close()
        for number, old in zip(ENDS, self._before, strict=True):
            signal.signal(number, old)

    def start(self, name: str, command: Sequence[str | Path], kind: type[Part] = Part) -> Any:
        """Start a process in a group of its own; its output goes to a log named after it."""
        log = self.folder / f"{name}-{len(self.parts)}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [str(word) for word in command], env=self.environment, cwd=ROOT, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, preexec_fn=_end_with_us,
            )  # fmt: skip
        part = kind(name, process, log)
        self.parts.append(part)
        return part

    def node(self, count: int = 1, **arguments: object) -> NodePart:
        """`ros2 launch` of the source tree's launch file, once the node is ready for its `count` cameras."""
        words = [f"{name}:={value}" for name, value in arguments.items() if value != ""]
        part: NodePart = self.start("node", ["ros2", "launch", LAUNCH, *words], NodePart)
        part.ready(count)
        return part

    def peer(self, role: str, *words: object) -> Part:
        """One of the processes of peers.py, once it says that it is ready."""
        command = [sys.executable, "-m", "benchmarks.node.peers", role, *map(str, words)]
        part: Part = self.start(role, command)
        part.wait_for("ready")
        return part

    def watch(self, seconds: float, nodes: Sequence[NodePart] = (), step: float = 1.0) -> list[list[Sample]]:
        """Let it run; samples of every node each `step` seconds. Raises InputError where a part ended meanwhile."""
        alive = [part for part in self.parts if part.alive]
        begin, samples = time.monotonic(), [[node.sample()] for node in nodes]
        while (left := begin + seconds - time.monotonic()) > 0:
            time.sleep(min(step, left))
            for part in alive:
                if not part.alive:
                    raise part.failure("ended in the middle of the measurement")
            for node, own in zip(nodes, samples, strict=True):
                own.append(node.sample())
        return samples

    def close(self) -> None:
        """End all processes: Ctrl-C, a few seconds, kill -9 for the groups."""
        for part in self.parts:
            if part.alive:
                part._signal(signal.SIGINT)
        deadline = time.monotonic() + END_SECONDS
        while any(part.alive for part in self.parts) and time.monotonic() < deadline:
            time.sleep(0.05)
        for part in self.parts:  # also those whose first process has ended: others of the group may not have
            part.kill()
        self._domain.close()


def _end_with_us() -> None:
    """In a new process: ask the kernel for a Ctrl-C when we die, even by kill -9 (Linux; elsewhere nothing)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def process_sample(pid: int) -> Sample:
    """Memory and processor time of a process, all its threads together, from /proc; raises OSError where it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])  # utime and stime, the 14th and 15th of proc(5)
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    waited = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError, IndexError):  # one that ends just now, a kernel that does not tell
            waited += int((thread / "schedstat").read_text(encoding="ascii").split()[1])
    memory, cpu = pages * os.sysconf("SC_PAGE_SIZE"), ticks / os.sysconf("SC_CLK_TCK")
    return Sample(time.time_ns(), memory, cpu, waited * 1e-9)
