# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The processes of a batch: started, watched, stopped, killed; small programs take the replays' place."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from sdtc_ros.replay import many
from sdtc_ros.replay.guard import StopRequest
from sdtc_ros.replay.many import NOT_RUN, Outcome, Task, run_tasks

pytestmark = pytest.mark.slow


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """Makes tasks of programs, which run in their results' folder."""

    def make(*programs: str) -> list[Task]:
        begin = "import os, sys; os.chdir(sys.argv[1])\n"
        monkeypatch.setattr(many, "command", lambda task: [sys.executable, "-c", begin + task.words[0], str(task.out)])
        return [Task(str(i), Path("in"), tmp_path / str(i), (text,)) for i, text in enumerate(programs)]

    return make


def run(tasks: list[Task], jobs: int = 2, stop: StopRequest | None = None) -> list[Outcome]:
    return run_tasks(tasks, jobs, stop or StopRequest(), lambda line: None)


class Asked(StopRequest):
    """A request to stop that comes once the given files are there."""

    def __init__(self, *files: Path) -> None:
        self.files, self.until = files, time.monotonic() + 20

    @property
    def status(self) -> int:  # type: ignore[override]
        return 130 * (all(file.exists() for file in self.files) or time.monotonic() > self.until)


def test_what_a_replay_says_of_itself(tasks):
    says = "import json; say = lambda **what: json.dump(what, open('result.json', 'w'));"
    poses = "{'images': [0] * 3, 'annotations': [0] * 5}"
    wrote = f"os.mkdir('posetrack'); json.dump({poses}, open('posetrack/x.json', 'w'))"
    done, failed, killed, stopped, silent = run(
        tasks(
            f"{says} say(frames=7, poses=9, error='', ap=50.0, mota=None)",
            f"{says} say(frames=4, poses=6, error='no'); raise SystemExit(3)",
            f"{says} {wrote}; os.kill(os.getpid(), 9)",
            f"{says} say(frames=7, poses=9, error=''); raise SystemExit(143)",
            "print('9 frames, 9 poses of 1 tracks'); sys.exit('sdtc_ros: error: printed')",
        )
    )
    assert (done.status, done.frames, done.poses, done.problem, done.ap, done.mota) == (0, 7, 9, "", 50.0, None)
    assert (failed.status, failed.problem, failed.frames, failed.poses) == (3, "no", 4, 6)
    assert (killed.status, killed.problem, killed.frames, killed.poses) == (137, "ended by signal 9", 3, 5)
    assert (stopped.status, stopped.problem) == (143, "stopped, and what was done until then is written")
    assert (silent.status, silent.frames) == (1, 0)
    assert silent.problem.startswith("see ")
    assert [one.written for one in (done, failed, killed, stopped, silent)] == [True, False, False, False, False]


def test_an_earlier_replays_poses_are_not_those_of_one_that_was_killed(tasks):
    (task,) = tasks("os.kill(os.getpid(), 9)")
    (task.out / "posetrack").mkdir(parents=True)
    earlier = task.out / "posetrack" / "x.json"
    earlier.write_text(json.dumps({"images": [0] * 3, "annotations": []}))
    os.utime(earlier, (1e9, 1e9))
    (killed,) = run([task])
    assert (killed.status, killed.frames) == (137, 0)


def test_no_more_than_jobs_at_a_time(tasks, tmp_path):
    text = "import time; t = time.time(); time.sleep(0.3); open('span', 'w').write(f'{t} {time.time()}')"
    run(tasks(*[text] * 4), jobs=2)
    spans = [tuple(map(float, (tmp_path / str(i) / "span").read_text().split())) for i in range(4)]
    assert max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans) <= 2


def test_the_record_of_an_earlier_run_is_gone_while_its_results_are_replaced(tasks, tmp_path):
    """Else a machine that dies meanwhile leaves half of the results under a record that calls them whole."""
    (task,) = tasks("raise SystemExit(os.path.exists('batch.json'))")
    task.out.mkdir()
    (task.out / "batch.json").write_text(json.dumps({"name": "0", "source": "in", "status": 0}))
    assert run([task])[0].status == 0


def test_a_terminals_signals_do_not_reach_them(tasks, tmp_path):
    """A session of its own each: they are asked to stop by us, once."""
    run(tasks("open('session', 'w').write(str(os.getsid(0)))"))
    assert int((tmp_path / "0" / "session").read_text()) != os.getsid(0)


def test_who_does_not_stop_is_killed(tasks, tmp_path, monkeypatch):
    """One stops when it is asked, one does not, one has not begun."""
    monkeypatch.setattr(many, "_GRACE", 0.5)
    deaf = "import signal, time; signal.signal(2, signal.SIG_IGN); open('on', 'w'); time.sleep(30)"
    good = "import signal, time; signal.signal(2, lambda *_: sys.exit(130)); open('on', 'w'); time.sleep(30)"
    start = time.monotonic()
    outcomes = run(tasks(deaf, good, "open('on', 'w')"), 2, Asked(tmp_path / "0" / "on", tmp_path / "1" / "on"))
    assert time.monotonic() - start < 15
    assert [one.status for one in outcomes] == [137, 130, NOT_RUN]
    assert not (tmp_path / "2").exists()
