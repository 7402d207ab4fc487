# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the live benchmark makes of records, logs and diagnostics; its processes end; no ROS is needed here."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the installed package

from benchmarks import live  # noqa: E402
from benchmarks.node import environment, figures, lab  # noqa: E402
from benchmarks.node.clip import PlayedClip, load, render  # noqa: E402
from benchmarks.node.figures import Account  # noqa: E402
from benchmarks.node.records import HEARD, SENT  # noqa: E402
from sdtc_ros.errors import InputError, UsageError  # noqa: E402
from sdtc_ros.node.health.health import Limits, camera_health  # noqa: E402
from sdtc_ros.node.health.statistics import Counts, Meter  # noqa: E402
from sdtc_ros.types import Frame, FramePoses  # noqa: E402

LOG = "[python3-1] [INFO] [1795267757.32] [sdtc_pose]: {}stopped: {}\n"
COUNTS = Counts(received=518, replaced=228, too_old=3, damaged=2, answered=150, unmatched=133, people=4, restarts=1)
SECOND = 1_000_000_000


def sent(*stamps: int, camera: int = 0) -> np.ndarray:
    return np.array([(stamp, camera) for stamp in stamps], SENT)


def heard(*stamps: int, camera: int = 0, off: float = 0.0, after: int = 50_000_000) -> np.ndarray:
    return np.array([(stamp, stamp + after, camera, 2, off) for stamp in stamps], HEARD)


def test_the_nodes_last_words_are_understood() -> None:
    """Whatever Counts.sum() says comes back as the same counts, for one camera and for several."""
    plain = Counts(received=7, answered=6)
    log = LOG.format("", COUNTS.sum())
    (told,) = figures.stopped_counts("noise\n" + log + "noise").values()
    assert told == Counts(**{**vars(COUNTS), "people": 0, "restarts": 0})
    several = LOG.format("front: ", COUNTS.sum()) + LOG.format("a/rear: ", plain.sum())
    found = figures.stopped_counts(several)
    assert list(found) == ["front", "a/rear"]
    assert found["a/rear"] == plain
    assert figures.added(list(found.values())).received == 525
    assert figures.stopped_counts("nothing of it") == {}
    changes = {("518 frames", "519 frames"): "does not hold", ("too old", "bored"): "'bored' is no cause"}
    for change, complaint in changes.items():
        with pytest.raises(ValueError, match=complaint):
            figures.stopped_counts(LOG.format("", COUNTS.sum().replace(*change)))


def test_an_account_complains_of_all_that_does_not_add_up() -> None:
    counts = Counts(received=95, answered=80, replaced=15)
    good = Account(100, counts, 80, 0)
    assert (good.lost, good.complaints) == (5, [])
    assert ["lost on the way to the node", "5", "5.00 %"] in good.rows()
    assert ["dropped: for newer", "15", "15.00 %"] in good.rows()
    assert Account(100, counts, 80, 0, told=counts).complaints == []
    assert good.figures()["sent"] == good.figures()["lost"] + good.figures()["received"] == 100
    (stale,) = Account(100, counts, 80, 0, told=Counts(received=94, answered=79, replaced=15)).complaints
    assert stale.startswith("the diagnostics said 94 frames received = 79 answered")
    bad = Account(90, Counts(received=95, answered=80, replaced=10), 79, 3)
    assert bad.complaints == [
        "5 frames still waited at the end", "80 answered, but 79 heard", "95 received, but 90 sent",
        "3 answers with a wrong stamp",
    ]  # fmt: skip


def test_wrong_answers_are_found() -> None:
    """Stamps never sent, sent by the other camera, not rising; boxes of another frame."""
    frames = np.concatenate([sent(10, 20, 30), sent(11, 21, camera=1)])
    assert figures.wrong_answers(frames, np.concatenate([heard(10, 20), heard(11, camera=1), heard(30)])) == 0
    wrong = {1: [heard(10, 15), heard(11), heard(20, 10, 30), heard(10, 10)], 2: [heard(10, 20, off=3.0)]}
    for count, answers in {**wrong, 0: [heard(10, off=float("nan")), heard()]}.items():
        assert [figures.wrong_answers(frames, answer) for answer in answers] == [count] * len(answers)


def test_the_clip_is_played_there_and_back(tmp_path: Path) -> None:
    """Neighbours in time are neighbours in the clip, and everybody is in every frame."""
    render(tmp_path / "clip", (160, 120), 7, 4.0)
    clip = load(tmp_path / "clip")
    assert clip.images.shape == (8, 120, 160, 3)
    assert np.stack(clip.boxes).shape == (8, 7, 4)  # more than there are: some have two
    numbers = [clip.number(count) for count in range(30)]
    assert set(numbers) == set(range(8))
    assert set(np.abs(np.diff(numbers))) == {1}
    assert PlayedClip(clip.images[:1], clip.boxes[:1]).number(7) == 0


def test_diagnostics_are_those_that_the_node_makes() -> None:
    """Stages and counts are read from what sdtc_ros.node.health.health writes, under its own names."""
    now = [0.0]
    meter = Meter(lambda: now[0])
    counts = Counts(received=10, answered=6, replaced=2, unmatched=1)
    now[0] = 2.0
    timings = {"track": 0.001, "encode": 0.004}
    meter.answered(FramePoses(Frame(np.zeros((2, 2, 3), np.uint8), 0), [], timings), 0.05)
    meter.counts = counts
    health = camera_health("sdtc_pose: camera", meter.figures(), Limits(0, 0, 0), topic="/front/image_raw")
    entry = {"moment": 5, "status": [{"name": health.name, "values": dict(health.values)}, {"name": "x", "values": {}}]}
    (status,) = figures.camera_statuses([entry], "/front/image_raw")
    assert status["moment"] == 5
    assert figures.camera_statuses([entry], "/rear/image_raw") == []
    assert figures.stages_ms([status]) == {"track": 1.0, "encode": 4.0}
    assert status["values"]["waiting"] == "1"
    assert figures.status_counts(status) == counts


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.fixture
def laboratory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[lab.Lab]:
    monkeypatch.setattr(lab, "ros_environment", lambda: os.environ)
    monkeypatch.setattr(lab, "END_SECONDS", 0.5)
    made = lab.Lab(tmp_path)
    yield made
    made.close()


def test_all_processes_end_whatever_happens(laboratory: lab.Lab) -> None:
    """Also the child of one that ignores Ctrl-C, after a failure in the middle."""
    child = "import time; time.sleep(600)"
    code = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        f"print('pid', subprocess.Popen([sys.executable, '-c', {child!r}]).pid, flush=True); time.sleep(600)"
    )

    def measure() -> None:
        with laboratory:
            part = laboratory.start("stubborn", [sys.executable, "-c", code])
            part.wait_for("pid")
            raise RuntimeError("a measurement that fails")

    with pytest.raises(RuntimeError, match="a measurement that fails"):
        measure()
    (part,) = laboratory.parts
    deadline = time.monotonic() + 10
    pids = [part.process.pid, int(part.log.split()[1])]
    while any(map(running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(running, pids))


def test_a_process_that_ends_too_early_is_named_with_its_last_lines(laboratory: lab.Lab) -> None:
    with laboratory:
        part = laboratory.start("camera", [sys.executable, "-c", "print('the lens is dirty'); raise SystemExit(7)"])
        with pytest.raises(InputError, match=r"(?s)'camera' did not come to 'ready'.*ended with 7.*the lens is dirty"):
            part.wait_for("ready", 20.0)
        sleeper = laboratory.start("sleeper", [sys.executable, "-c", "import time; time.sleep(0.5)"])
        with pytest.raises(InputError, match="'sleeper' ended in the middle of the measurement"):
            laboratory.watch(20.0, step=0.05)
        assert not sleeper.alive


def test_without_ros_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setattr(environment, "OPT_ROS", tmp_path)
    environment._found.cache_clear()
    try:
        assert live.main(["soak", "--minutes", "0.1"]) == UsageError.exit_status
    finally:
        environment._found.cache_clear()
    error = capsys.readouterr().err
    assert error == f"error: no ROS 2 is sourced, and there is none under {tmp_path}\n"
