# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Many replays at once, each in a process of its own: started, watched, stopped, and what each left read back.

A process an input: its results are those of a single replay because it is one, a crash takes nothing else with it,
and what the runtime holds of memory goes back after every input.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any

import sdtc_ros
from sdtc_ros.errors import InputError
from sdtc_ros.replay.guard import StopRequest
from sdtc_ros.replay.outputs import LOG, POSETRACK, RECORD, RESULT, read_result

NOTHING, NOT_RUN = 0, -1  # statuses: all went well; not begun
STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
_POLL = 0.05  # seconds between looks at the processes
_TOLD_EVERY = 10.0  # seconds between lines on what is running
_GRACE = 30.0  # seconds that a stopped replay has to write what it did


@dataclass(frozen=True)
class Task:
    """One input: `name` is its results' folder's too; words: the options of its replay.

    made: what its results depend on, in words: the input, the model's hash, the settings; folder: what relative
    paths among the words are relative to (None: this process's working folder).
    """

    name: str
    source: Path
    out: Path
    words: tuple[str, ...]
    made: tuple[str, ...] = ()
    folder: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """How a task ended: the exit status of its replay (negative: NOT_RUN), seconds, and what it says of itself.

    frames, poses: how many are written, however it ended.
    """

    name: str
    source: str
    status: int
    seconds: float = 0.0
    frames: int = 0
    poses: int = 0
    ap: float | None = None
    mota: float | None = None
    problem: str = ""
    made: tuple[str, ...] = ()

    @property
    def written(self) -> bool:
        """Whether there are results of the whole input, as far as it could be read."""
        return self.status in (NOTHING, 5)


def run_tasks(tasks: Sequence[Task], jobs: int, stop: StopRequest, say: Callable[[str], None]) -> list[Outcome]:
    """Replay every task, `jobs` at a time; a request to stop is passed on once, and nothing new begins after it."""
    done, killed = dict[str, Outcome](), Event()

    def run(task: Task) -> Outcome | None:
        return None if stop.status else run_task(task, lambda: bool(stop.status), killed.is_set)

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        waiting = {pool.submit(run, task): task for task in tasks}
        told = monotonic()
        try:
            while waiting:
                ended, _ = wait(waiting, _POLL, FIRST_COMPLETED)
                for future in ended:
                    task, outcome = waiting.pop(future), future.result()
                    if outcome is not None:
                        done[task.name] = outcome
                        say(f"[{len(done)}/{len(tasks)}] {outcome_line(outcome)}")
                if monotonic() > told + _TOLD_EVERY:
                    told = monotonic()
                    for task in [task for future, task in waiting.items() if future.running()]:
                        say(f"  {task.name}: {_last_line(task.out / LOG)}")
        finally:  # a second Ctrl-C ends up here
            killed.set()
            pool.shutdown(cancel_futures=True)
    return [done.get(task.name) or Outcome(task.name, str(task.source), NOT_RUN) for task in tasks]


def run_task(
    task: Task,
    stopping: Callable[[], bool],
    killed: Callable[[], bool] = lambda: False,
    prepare: Callable[[], None] | None = None,
) -> Outcome:
    """Replay one task in a process of its own and wait for it.

    stopping: whether the replay is to end and write what it did; killed: whether to end it at once; prepare is called
    in the new process. Raises InputError where its results' folder cannot be written.
    """
    process, begun, asked = _start(task, prepare), monotonic(), 0.0
    since = (task.out / LOG).stat().st_mtime_ns
    try:
        while process.poll() is None:
            sleep(_POLL)
            if stopping() and not asked:
                asked = monotonic()
                process.send_signal(signal.SIGINT)
            if killed() or (asked and monotonic() > asked + _GRACE):
                process.kill()
    finally:
        if process.poll() is None:
            process.kill()
    return _ended(task, process.returncode, monotonic() - begun, since)


def finished(task: Task) -> Outcome | None:
    """The outcome that an earlier run noted in the task's folder, if its results are whole and still there, or None."""
    try:
        noted = json.loads((task.out / RECORD).read_text(encoding="utf-8"))
        outcome = Outcome(**noted | {"made": tuple(noted.get("made", ()))})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return outcome if outcome.written and (task.out / POSETRACK / f"{task.name}.json").is_file() else None


def difference(task: Task, outcome: Outcome) -> str:
    """What the outcome's results were made with that the task's would not be, and the other way round, or ''."""
    if outcome.made == task.made:
        return ""
    before = " ".join(word for word in outcome.made if word not in task.made)
    now = " ".join(word for word in task.made if word not in outcome.made)
    return f"made {f'with {before}' if before else 'otherwise'}, and not {f'with {now}' if now else 'without it'}"


def outcome_line(outcome: Outcome) -> str:
    """One line on how a task ended."""
    if outcome.status == NOT_RUN:
        return f"{outcome.name}: not begun"
    text = f"{outcome.name}: {outcome.frames} frames, {outcome.poses} poses in {outcome.seconds:.1f} s"
    text += "" if outcome.ap is None else f", AP {outcome.ap:.1f}"
    return text if outcome.status == NOTHING else f"{text}; status {outcome.status}: {outcome.problem}"


def command(task: Task) -> list[str]:
    """The command line of a task's replay."""
    return [sys.executable, "-m", "sdtc_ros", "replay", str(task.source), "--out", str(task.out), *task.words]


def _start(task: Task, prepare: Callable[[], None] | None) -> subprocess.Popen[bytes]:
    try:
        task.out.mkdir(parents=True, exist_ok=True)
        for name in (RECORD, RESULT):
            (task.out / name).unlink(missing_ok=True)
        log = (task.out / LOG).open("wb")
    except OSError as error:
        raise InputError(f"results cannot be written to {task.out}: {error.strerror}") from error
    package = str(Path(sdtc_ros.__file__).resolve().parent.parent)
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    with log:  # a session of its own: Ctrl-C reaches it once, from us, and not from the terminal as well
        return subprocess.Popen(
            command(task), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            env=os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}, cwd=task.folder, preexec_fn=prepare,
        )  # fmt: skip


def _ended(task: Task, status: int, seconds: float, since: int) -> Outcome:
    """What a replay left and says of itself, noted beside it; since: the log's first time stamp."""
    said = read_result(task.out)
    frames, poses = (said["frames"], said["poses"]) if said else _written(task.out / POSETRACK, since)
    outcome = Outcome(
        task.name, str(task.source), 128 - status if status < 0 else status, seconds, frames, poses,
        said.get("ap"), said.get("mota"), _problem(task, status, said) if status else "", task.made,
    )  # fmt: skip
    with suppress(OSError):  # on a full disk the outcome is reported all the same
        (task.out / RECORD).write_text(json.dumps(asdict(outcome), indent=1) + "\n", encoding="utf-8")
    return outcome


def _problem(task: Task, status: int, said: dict[str, Any]) -> str:
    """Why a replay's exit status is not 0, in words."""
    if status in STOPPED:
        return "stopped, and what was done until then is written"
    if status < 0:
        return f"ended by signal {-status}"
    return said.get("error") or "; ".join(said.get("problems", ())) or f"see {task.out / LOG}"


def _written(folder: Path, since: int) -> tuple[int, int]:
    """How many frames and poses a replay that was killed has left in its JSON file, which is whole at any time.

    since: nanoseconds of the file system's clock; an older file is an earlier replay's, which it would have replaced.
    """
    for path in folder.glob("*.json"):
        with suppress(OSError, ValueError, KeyError):
            if path.stat().st_mtime_ns >= since:
                content = json.loads(path.read_text(encoding="utf-8"))
                return len(content["images"]), len(content["annotations"])
    return 0, 0


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return lines[-1].removeprefix("replay: ") if lines else "starting"
