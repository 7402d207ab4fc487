# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Many replays on the machines of a Dask cluster: the same tasks, one process an input, results in a shared folder.

All machines see the inputs and the results' folder under the same paths and have this package installed. A task whose
worker is lost is done again by another; its process dies with the worker, so that no two write to one folder.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from time import sleep
from typing import Any
from uuid import uuid4

from sdtc_ros.errors import SdtcError, UsageError
from sdtc_ros.replay.guard import StopRequest
from sdtc_ros.replay.many import NOT_RUN, Outcome, Task, outcome_line, run_task

_CONNECT = 20.0  # seconds to wait for the scheduler
_POLL = 0.5  # seconds between looks at what has ended
_DIE_WITH_PARENT = 1  # Linux' PR_SET_PDEATHSIG


def run_on_cluster(
    tasks: Sequence[Task], scheduler: str, stop: StopRequest, say: Callable[[str], None]
) -> list[Outcome]:
    """What `run_tasks` does, on the workers of the cluster whose scheduler has this address (tcp://HOST:8786).

    Raises UsageError where Dask is not installed or no scheduler answers there.
    """
    try:
        from distributed import Client, Event
    except ImportError as error:
        raise UsageError("--scheduler needs Dask on every host: pip install 'sdtc_ros[dask]'") from error
    try:
        client = Client(scheduler, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(f"no Dask scheduler responds at {scheduler}: {error}") from error
    done, stopping = dict[str, Outcome](), f"sdtc-stop-{uuid4().hex}"
    with client:
        event = Event(stopping, client=client)
        futures = {
            client.submit(_run, _absolute(task), stopping, key=f"{task.name}-{uuid4().hex}", pure=False): task
            for task in tasks
        }
        while futures:
            sleep(_POLL)
            for future in [future for future in futures if future.done()]:
                task = futures.pop(future)
                outcome = _outcome(task, future)
                if outcome.status != NOT_RUN:
                    done[task.name] = outcome
                    say(f"[{len(done)}/{len(tasks)}] {outcome_line(outcome)}")
            if stop.status and not event.is_set():
                event.set()
    return [done.get(task.name) or Outcome(task.name, str(task.source), NOT_RUN) for task in tasks]


def _outcome(task: Task, future: Any) -> Outcome:
    """The task's outcome, also where its function raised or every worker that tried was lost."""
    if future.status == "finished":
        return replace(future.result(), source=str(task.source), made=task.made)
    error = future.exception()
    status = error.exit_status if isinstance(error, SdtcError) else 1
    return Outcome(task.name, str(task.source), status, problem=f"{type(error).__name__}: {error}", made=task.made)


def _absolute(task: Task) -> Task:
    return replace(task, source=task.source.absolute(), out=task.out.absolute(), folder=Path.cwd())


def _run(task: Task, stopping: str) -> Outcome:
    """On a worker: replay the task, unless it is time to stop."""
    from distributed import Event

    event = Event(stopping)
    if event.is_set():
        return Outcome(task.name, str(task.source), NOT_RUN)
    # a lost worker's task starts over in the same folder
    again = task if "--overwrite" in task.words else replace(task, words=(*task.words, "--overwrite"))
    return run_task(again, event.is_set, prepare=_die_with_parent)


def _die_with_parent() -> None:
    """Let the kernel end this process with the worker that began it."""
    if os.name == "posix" and hasattr(signal, "SIGKILL"):
        try:
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        except AttributeError:  # not Linux
            return
