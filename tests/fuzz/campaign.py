# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Damaged inputs through the command line, each in a process of its own with a time and a memory limit, and judged.

A process is forked from one that has run the sound input already, so that nothing is left to import and a thousand
take minutes. What must hold: it ends by itself with a documented status, prints no traceback, says one sentence where
the status is not 0, stays within its memory, and where the status is 0 has written every frame of the input.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from io import StringIO
from pathlib import Path

import cv2
import numpy as np

from tests.fuzz.subjects import SUBJECTS, Subject

SECONDS = 120  # of wall time; the processor's own are a third of it
MEGABYTES = 1024  # resident
_STATUSES = (0, 2, 3, 4, 5)


@dataclass(frozen=True)
class Verdict:
    """How one input ended: its exit status (negative: a signal), what it said, and what was wrong with that."""

    seed: int
    status: int
    said: str
    megabytes: float
    faults: tuple[str, ...] = ()


@dataclass
class Table:
    """The verdicts of a subject."""

    name: str
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def faulty(self) -> list[Verdict]:
        """Those that broke a rule."""
        return [verdict for verdict in self.verdicts if verdict.faults]

    def row(self) -> str:
        """A row of the report's table."""
        status = Counter(verdict.status for verdict in self.verdicts)
        faults = Counter(fault for verdict in self.verdicts for fault in verdict.faults)
        told = ", ".join(f"{count} × {fault}" for fault, count in faults.items()) or "none"
        most = max((verdict.megabytes for verdict in self.verdicts), default=0.0)
        counts = " | ".join(str(status[code]) for code in _STATUSES)
        return f"| {self.name} | {len(self.verdicts)} | {counts} | {most:.0f} | {told} |"


def run_campaign(name: str, seeds: Iterable[int], work: Path) -> Iterator[Verdict]:
    """Judge a subject's damaged inputs, a seed each."""
    cv2.setNumThreads(1)  # threads do not survive a fork
    subject = SUBJECTS[name](work / name)
    warm(subject, work / f"{name}-sound")
    for seed in seeds:
        yield judge(subject, seed, work / f"{name}-seed-{seed}")


def warm(subject: Subject, out: Path) -> None:
    """Run the sound input in this process, which must end with 0: its children then have everything imported."""
    from sdtc_ros.__main__ import main as command

    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        status = command(with_out(subject.sound(), out))
    if status or threading.active_count() > 1:
        raise RuntimeError(f"{type(subject).__name__}: the sound input ended with {status}, or left threads behind")


def with_out(words: list[str], out: Path) -> list[str]:
    """The words of a command, with the folder where it writes, if it does."""
    return [*words, "--out", str(out)] if words[0] == "replay" else words


def judge(subject: Subject, seed: int, work: Path) -> Verdict:
    """Make the damaged input of a seed, run its command in a process, and hold the outcome against the rules."""
    work.mkdir()
    try:
        words = with_out(subject.damaged(work / "input", np.random.default_rng(seed)), work / "out")
        status, said, megabytes = _run(words, work / "log")
        faults = _faults(status, said, megabytes)
        if status == 0 and subject.expected is not None:
            written = _written(work / "out")
            faults += [] if written == subject.expected else [f"{subject.expected - written} frames lost in silence"]
        return Verdict(seed, status, said, megabytes, tuple(faults))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(words: list[str], log: Path) -> tuple[int, str, float]:
    """Exit status (negative: a signal), what it wrote on standard error, and its largest resident size."""
    child = os.fork()
    if not child:
        _child(words, log)
    _, code, usage = os.wait4(child, 0)
    status = os.waitstatus_to_exitcode(code)
    return status, log.read_text(errors="replace"), usage.ru_maxrss / 1024


def _child(words: list[str], log: Path) -> None:
    """Run the command line with its output in a file, and never return."""
    status = 1
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(out, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        # pytest's own are not ours
        sys.stdout, sys.stderr = (open(n, "w", closefd=False) for n in (1, 2))  # noqa: SIM115
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS // 3, SECONDS // 3 + 5))
        resource.setrlimit(resource.RLIMIT_AS, (8 * MEGABYTES << 20, 8 * MEGABYTES << 20))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        from sdtc_ros.__main__ import main

        status = main(words)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 2
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _faults(status: int, said: str, megabytes: float) -> list[str]:
    faults = []
    if status < 0:
        hung = -status in (signal.SIGALRM, signal.SIGXCPU, signal.SIGKILL)
        faults.append("hung" if hung else f"ended by {signal.Signals(-status).name}")
    elif "Traceback" in said or status not in _STATUSES:
        faults.append("traceback: " + (said.strip().splitlines() or ["nothing said"])[-1][:100])
    elif status and sum("sdtc_ros: error: " in line for line in said.splitlines()) != 1:
        faults.append("not one sentence")
    if megabytes > MEGABYTES:
        faults.append("too much memory")
    return faults


def _written(out: Path) -> int:
    """How many frames a replay's JSON holds."""
    files = list((out / "posetrack").glob("*.json"))
    return len(json.loads(files[0].read_text())["images"]) if files else 0


def main(words: list[str]) -> int:
    """`python -m tests.fuzz [SUBJECT=COUNT ...]`: a table, then every input that broke a rule; 1 where one did."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT=COUNT", help="or SUBJECT=FIRST-END; 100 of each")
    parser.add_argument("--kept", type=Path, help="file of verdicts so far: what stands there is not run again")
    args = parser.parse_args(words)
    kept = _kept(args.kept)
    print("| input | tried | 0 | 2 | 3 | 4 | 5 | MB at most | broken rules |\n|---|---|---|---|---|---|---|---|---|")
    tables = []
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for word in args.subjects or [f"{name}=100" for name in SUBJECTS]:
            name, _, count = word.partition("=")
            first, _, last = count.rpartition("-")
            seeds = [seed for seed in range(int(first or 0), int(last)) if (name, seed) not in kept]
            for verdict in run_campaign(name, seeds, Path(folder)) if seeds else ():
                kept[name, verdict.seed] = verdict
                _keep(args.kept, name, verdict)
            asked = range(int(first or 0), int(last))
            tables.append(Table(name, [kept[name, seed] for seed in asked]))
            print(tables[-1].row(), flush=True)
    for table in tables:
        for verdict in table.faulty:
            print(f"{table.name} seed {verdict.seed}: status {verdict.status}, {'; '.join(verdict.faults)}")
            print(verdict.said[-1500:])
    return int(any(table.faulty for table in tables))


def _kept(path: Path | None) -> dict[tuple[str, int], Verdict]:
    """The verdicts of earlier runs, by subject and seed."""
    lines = path.read_text().splitlines() if path and path.exists() else []
    rows = [json.loads(line) for line in lines]
    return {(row.pop("name"), row["seed"]): Verdict(**row) for row in rows}


def _keep(path: Path | None, name: str, verdict: Verdict) -> None:
    if path:
        with path.open("a") as file:
            file.write(json.dumps({"name": name, **asdict(verdict)}) + "\n")
