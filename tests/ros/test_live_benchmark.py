# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""benchmarks/live.py with real processes, for seconds only: its sums hold, and whatever ends it, nothing is left."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import ROOT

LIVE = ROOT / "benchmarks" / "live.py"
QUICK = ["--size", "160x120", "--people", "1", "--hz", "10", "--threads", "1"]


def test_a_short_soak_accounts_for_every_frame(ros) -> None:
    out, plot = ros.folder / "soak.json", ros.folder / "soak.png"
    drawn = ["--plot", plot] if find_spec("matplotlib") else []  # not everybody's, beside ROS 2
    done = ros.run(sys.executable, LIVE, "soak", *QUICK, "--minutes", "0.08", "--json", out, *drawn, seconds=180.0)
    assert done.returncode == 0, done.stdout
    assert "UNACCOUNTED FOR" not in done.stdout
    figures = json.loads(out.read_text())
    account = figures["account"]
    dropped = sum(account[cause] for cause in ("replaced", "too_old", "unmatched", "damaged"))
    assert account["sent"] == account["lost"] + account["received"] > 20
    assert account["received"] == account["answered"] + dropped
    assert account["heard"] == account["answered"] > 5
    assert account["wrong_stamps"] == 0
    assert figures["people_a_frame"] == pytest.approx(1.0, abs=0.3)
    assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p99"]
    assert figures["cpu_ms_a_frame"]["used"] > 0
    assert not drawn or plot.stat().st_size > 10_000


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_whatever_ends_it(ros, end) -> None:
    keep = ros.folder / "kept"
    bench = ros.start(sys.executable, LIVE, "soak", *QUICK, "--keep", keep)
    records = keep / "soak" / "camera"
    wait_until(lambda: (records.exists() and records.stat().st_size > 0) or bench.process.poll() is not None)
    (pid,) = re.findall(r"process started with pid \[(\d+)\]", (keep / "node-0.log").read_text())
    assert Path("/proc", pid).exists()
    assert len(commands(keep)) > 3  # itself, camera, detector, listener
    os.killpg(bench.process.pid, end)
    bench.process.wait(30)
    if end == signal.SIGINT:
        assert bench.process.returncode == 130
        assert "interrupted; all processes stopped" in bench.log
        assert "Traceback" not in bench.log
    else:  # nobody is left who could see to it: they end of themselves
        wait_until(lambda: not Path("/proc", pid).exists() and not commands(keep))
    assert not Path("/proc", pid).exists(), "the node is left"
    assert not commands(keep), "camera, detector or listener are left"


def commands(keep: Path) -> list[str]:
    """Those of all processes that work in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [command for command in found if str(keep) in command]


def wait_until(met: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not met() and time.monotonic() < deadline:
        time.sleep(0.05)
