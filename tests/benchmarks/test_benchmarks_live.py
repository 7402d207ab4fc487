# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the live benchmark makes of records, logs and diagnostics; its processes end; no ROS is needed here."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the installed package

from benchmarks import live  # noqa: E402
from benchmarks.node import environment, figures, lab, soak  # noqa: E402
from benchmarks.node.clip import PlayedClip, load, render  # noqa: E402
from benchmarks.node.figures import Account, Sample  # noqa: E402
from benchmarks.node.records import HEARD, SENT, Notebook, number_of, read_rows, stamp_for, truth_distance  # noqa: E402
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


def test_a_sum_that_does_not_hold_or_is_not_known_is_refused() -> None:
    wrong = COUNTS.sum().replace("518 frames", "519 frames")
    with pytest.raises(ValueError, match="does not hold"):
        figures.stopped_counts(LOG.format("", wrong))
    with pytest.raises(ValueError, match="'bored' is no cause"):
        figures.stopped_counts(LOG.format("", COUNTS.sum().replace("too old", "bored")))


def test_the_nodes_process_is_the_one_that_launch_names() -> None:
    assert figures.node_pid("[INFO] [python3-1]: process started with pid [4816]\n") == 4816
    assert figures.node_pid("") is None


def test_an_account_complains_of_all_that_does_not_add_up() -> None:
    counts = Counts(received=95, answered=80, replaced=15)
    good = Account(100, counts, 80, 0)
    assert (good.lost, good.complaints) == (5, [])
    assert ["lost on the way to the node", "5", "5.00 %"] in good.rows()
    assert ["dropped: for newer", "15", "15.00 %"] in good.rows()
    assert Account(100, counts, 80, 0, told=counts).complaints == []
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
    assert figures.wrong_answers(frames, heard(10, 15)) == 1
    assert figures.wrong_answers(frames, heard(11)) == 1
    assert figures.wrong_answers(frames, heard(20, 10, 30)) == 1
    assert figures.wrong_answers(frames, heard(10, 10)) == 1
    assert figures.wrong_answers(frames, heard(10, 20, off=3.0)) == 2
    assert figures.wrong_answers(frames, heard(10, off=float("nan"))) == 0
    assert figures.wrong_answers(frames, heard()) == 0


def test_a_stamp_bears_the_number_of_its_frame() -> None:
    moment = 1_795_267_757_321_985_094
    stamp = stamp_for(moment, 59)
    assert number_of(stamp) == 59
    assert 0 < moment - stamp < 2000


def test_records_survive_a_row_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "camera"
    assert len(read_rows(path, SENT)) == 0
    notes = Notebook(path, SENT)
    notes.write(10, 0)
    notes.write(20, 1)
    with path.open("ab") as stream:
        stream.write(b"\1\2\3")
    np.testing.assert_array_equal(read_rows(path, SENT), np.concatenate([sent(10), sent(20, camera=1)]))


def test_distance_to_the_true_boxes() -> None:
    true = np.array([[0, 0, 10, 20], [50, 0, 10, 20]], np.float32)
    assert truth_distance(true[::-1], true) == 0.0
    assert truth_distance(true + np.float32([0, 3, 0, -1]), true) == 3.0
    assert truth_distance(true[:0], true) == 0.0
    assert truth_distance(true, true[:0]) == float("inf")


def test_the_clip_is_played_there_and_back(tmp_path: Path) -> None:
    """Neighbours in time are neighbours in the clip, and everybody is in every frame."""
    render(tmp_path / "clip", (160, 120), 2, 4.0)
    clip = load(tmp_path / "clip")
    assert clip.images.shape == (8, 120, 160, 3)
    assert np.stack(clip.boxes).shape == (8, 2, 4)
    numbers = [clip.number(count) for count in range(30)]
    assert set(numbers) == set(range(8))
    assert set(np.abs(np.diff(numbers))) == {1}
    assert PlayedClip(clip.images[:1], clip.boxes[:1]).number(7) == 0


def test_rates_latencies_memory_and_processor_time() -> None:
    answers = heard(*range(0, 11 * SECOND, SECOND), after=30_000_000)
    assert figures.rate(answers["received"]) == pytest.approx(1.0)
    assert figures.rate(answers["received"][:1]) == 0.0
    assert figures.percentile_ms(figures.latencies(answers), 50) == pytest.approx(30.0)
    assert np.isnan(figures.percentile_ms(figures.latencies(answers[:0]), 50))
    samples = [Sample(i * SECOND, 100 + i, 0.5 * i, 0.1 * i) for i in range(5)]
    assert [figures.memory_at(samples, at) for at in (0, 2.5, 60)] == [100, 103, 104]
    assert figures.cpu_ms(samples, 20) == pytest.approx(100.0)
    assert figures.waited_ms(samples, 20) == pytest.approx(20.0)
    assert figures.span(samples) == 4.0


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


def test_a_soaks_figures_plot_and_report(tmp_path: Path) -> None:
    stamps = range(SECOND, 31 * SECOND, SECOND // 10)
    frames, answers = sent(*stamps), heard(*stamps[::2])
    account = Account(300, Counts(received=300, answered=150, replaced=150), 150, 0)
    samples = [Sample(i * SECOND, 10_000_000 * (1 + (i > 5)), i, 0.0) for i in range(31)]
    found = soak.Soak(account, frames, answers, samples, early=3.0)
    assert found.rates == pytest.approx({"published": 10.0, "in": 10.0, "out": 5.0})
    assert found.figures()["ratio"] == 0.5
    assert found.memory == (10_000_000, 20_000_000)
    assert found.cpu_ms["used"] == pytest.approx(200.0)
    text = soak.report(found)
    assert "| answered | 150 | 50.00 % |" in text
    assert "| latency p50, stamp to receipt | 50.0 ms |" in text
    soak.plot(found, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 10_000


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


def test_a_domain_is_one_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(environment, "DOMAINS", range(1, 4))
    taken = [environment.Domain() for _ in range(3)]
    assert sorted(domain.number for domain in taken) == [1, 2, 3]
    with pytest.raises(UsageError, match="all DDS domains are taken by other tests or benchmarks on this machine"):
        environment.Domain()
    with pytest.raises(UsageError, match="DDS domain 2 is taken"):
        environment.Domain(2)
    free = taken.pop()
    free.close()
    again = environment.Domain(free.number)
    free.close()  # which must not close the file of another
    with pytest.raises(UsageError):
        environment.Domain()
    for domain in (again, *taken):
        domain.close()


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


def test_a_process_is_measured() -> None:
    """Its memory and processor time, as /proc tells them."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        first = lab.process_sample(process.pid)
        deadline = time.monotonic() + 20
        while lab.process_sample(process.pid).cpu < first.cpu + 0.05 and time.monotonic() < deadline:
            time.sleep(0.02)
        last = lab.process_sample(process.pid)
        assert last.cpu >= first.cpu + 0.05
        assert last.memory > 1_000_000
        assert last.waited >= 0
    finally:
        process.kill()
        process.wait()
    with pytest.raises(OSError, match=r"/proc/\d+/stat"):
        lab.process_sample(process.pid)


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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["soak", "--minutes", "0"], "--minutes must be > 0, got 0"),
        (["soak", "--plot", "nowhere/out.png"], "--plot nowhere/out.png: no such folder: nowhere"),
        (["cost", "--people", "0"], "--people must be >= 1, got 0"),
        (["restarts", "--detector", "person"], "--detector person is for soak and cameras"),
        (["cameras", "--keep", "."], "--keep . already exists"),
    ],
)
def test_wrong_arguments(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, the documented exit status, before anything starts."""
    assert live.main(arguments) == UsageError.exit_status
    error = capsys.readouterr().err
    assert error.startswith(f"error: {sentence}")
    assert error.count("\n") == 1
