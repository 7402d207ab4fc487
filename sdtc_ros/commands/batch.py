# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m sdtc_ros batch INPUT... --out DIR`: many replays in several processes or on several hosts.

Every input is replayed by a process of its own into DIR/NAME; failures are collected; with --truth all sequences
are evaluated together at the end, as the files of a data set are.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from sdtc_ros.commands.arguments import PIPELINE_OPTIONS, RUN_OPTIONS, add_options
from sdtc_ros.commands.replay import add_protocol, replay_options
from sdtc_ros.errors import InputError, PartialInputError, UsageError
from sdtc_ros.evaluate import Result
from sdtc_ros.host import cores
from sdtc_ros.replay.cluster import run_on_cluster
from sdtc_ros.replay.many import (
    NOT_RUN,
    NOTHING,
    Outcome,
    Task,
    difference,
    finished,
    outcome_line,
    run_tasks,
)
from sdtc_ros.replay.outputs import LOG, POSETRACK, results_in
from sdtc_ros.skeleton import Skeleton

_NOT_IN_RESULTS = ("overwrite", "quiet", "threads", "model")  # the model counts by its hash
_EPILOG = """\
All other options are replay's, for every input. --out's folder then holds NAME/ for every input, with what a replay
writes and its replay.log, and batch.json (batch-I-of-N.json with --part). Several hosts: --part 1/3, 2/3, 3/3 with the
same INPUTs and options and a DIR that all reach, then once more without --part and with --resume for the table and the
accuracy over all. Exit status: 0 all done, 130 (Ctrl-C) or 143 (SIGTERM) stopped, 5 some inputs failed or were damaged,
else that of the failure that all inputs share, or 3.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's arguments."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("sources", type=Path, nargs="+", metavar="INPUT", help="inputs as for replay; their names must differ")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the results, created if missing")
    add("--truth", type=Path, metavar="DIR", help="annotations, NAME.json for every input (HiEve: a folder NAME)")
    add_protocol(parser)
    add("--jobs", type=int, metavar="N", help="processes at a time (default: one a core)")
    add(
        "--scheduler", metavar="ADDRESS",
        help="run on a Dask cluster (extra `dask`), for example tcp://HOST:8786; all hosts must see the same paths",
    )  # fmt: skip
    add("--part", type=_part, metavar="I/N", help="only every N-th input, from the I-th on (counted from 1)")
    add("--resume", action="store_true", help="resume an earlier run: skip what it completed, process the rest")
    parser.set_defaults(forwarded=add_options(parser, (*RUN_OPTIONS, *PIPELINE_OPTIONS)))


def run(args: argparse.Namespace) -> int:
    """Replay all and print the table; raises SdtcError, after the table where the evaluation fails or inputs did."""
    from sdtc_ros.models.bundle import default_bundle, load_bundle
    from sdtc_ros.replay import check
    from sdtc_ros.replay.guard import stop_requests

    if args.jobs is not None and args.jobs < 1:
        raise UsageError(f"--jobs must be >= 1, got {args.jobs}")
    bundle = load_bundle(args.model or default_bundle())
    tasks = _tasks(args, bundle.bundle_hash)
    if not tasks:
        print("part {}/{} of {} inputs has none: nothing to do".format(*args.part, len(args.sources)))
        return 0
    done = _done(args, tasks)
    left = [task for task in tasks if task.name not in done]
    if left:  # what is wrong with all is reported once, before anything starts
        check(replay_options(args, left[0].source, args.truth))
    jobs = min(args.jobs or cores(), max(1, len(left)))
    with stop_requests() as stop:
        if args.scheduler and left:  # a thread a replay: the workers are not ours alone
            new = run_on_cluster([_ready(args, task, cores()) for task in left], args.scheduler, stop, _say)
        else:
            new = run_tasks([_ready(args, task, jobs) for task in left], jobs, stop, _say)
    done |= {outcome.name: outcome for outcome in new}
    outcomes = [done[task.name] for task in tasks]
    _write(args, outcomes, None)
    print(_summary(outcomes))
    if stop.status:
        return stop.status
    if args.truth and any(one.written for one in outcomes):
        result = _evaluate(args, outcomes, bundle.skeleton)
        _write(args, outcomes, result)
        for warning in result.warnings:
            print(f"sdtc_ros: warning: {warning}", file=sys.stderr)
        print(result.table())
    return _status(outcomes)


def _say(line: str) -> None:
    print(line, flush=True)


def _tasks(args: argparse.Namespace, bundle_hash: str) -> list[Task]:
    """One a replay; raises UsageError and InputError for inputs that are not there, or lack a name or truth."""
    named = [(_name(source), source) for source in args.sources]
    twice = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if twice:
        raise UsageError(f"several inputs are named {twice[0]}; process them in separate runs")
    if args.part:
        named = named[args.part[0] - 1 :: args.part[1]]
    for name, source in named:
        if not source.exists():
            raise InputError(f"{source} does not exist; nothing was started")
        if args.truth and not _truth(args, name).exists():
            raise InputError(f"{args.truth} has no {name}.json, the annotations of the input {name}")
    words = _words(args)
    settings = (f"model={bundle_hash[:16]}", *words, *([f"--truth={args.truth}"] if args.detector == "truth" else []))
    return [
        Task(name, source, args.out / name, words, (f"INPUT={source.resolve()}", *settings)) for name, source in named
    ]


def _words(args: argparse.Namespace) -> tuple[str, ...]:
    """Replay's options that results depend on, as they were given, for a command line of its own."""
    words = []
    for action in args.forwarded:
        value = getattr(args, action.dest)
        if value != action.default and action.dest not in _NOT_IN_RESULTS:
            words.append(action.option_strings[0] + ("" if action.nargs == 0 else f"={value}"))
    return tuple(words)


def _done(args: argparse.Namespace, tasks: Sequence[Task]) -> dict[str, Outcome]:
    """What --resume need not do again; raises UsageError where results would be lost that nobody gave up."""
    done = {}
    for task in tasks:
        outcome = finished(task) if args.resume else None
        change = difference(task, outcome) if outcome else ""
        if outcome and not change:
            done[task.name] = outcome
        elif change and not args.overwrite:
            raise UsageError(f"{task.out} holds results that were {change}; add --overwrite or choose another folder")
        elif change:
            _say(f"{task.name}: processed again, its results were {change}")
        elif results_in(task.out) and not args.overwrite and not (args.resume and (task.out / LOG).exists()):
            raise UsageError(f"{task.out} holds results; choose another folder, or add --resume or --overwrite")
    return done


def _ready(args: argparse.Namespace, task: Task, jobs: int) -> Task:
    """The task with what its results do not depend on; what may not be replaced is found out by now."""
    words = [f"--threads={args.threads or max(1, cores() // jobs)}"]  # else every process would take all cores
    words += ["--overwrite"] if args.overwrite or args.resume else []
    words += ["--quiet"] if args.quiet else []
    words += [f"--model={args.model}"] if args.model else []
    words += [f"--truth={_truth(args, task.name)}"] if args.truth else []
    words += [f"--protocol={args.protocol}"] if args.protocol else []
    return replace(task, words=(*task.words, *words))


def _name(source: Path) -> str:
    return source.stem if source.is_file() else source.resolve().name


def _truth(args: argparse.Namespace, name: str) -> Path:
    file, folder = Path(args.truth / f"{name}.json"), Path(args.truth / name)  # HiEve has a folder of XML files a video
    return folder if folder.is_dir() and not file.is_file() else file


def _part(text: str) -> tuple[int, int]:
    """'2/3' -> (2, 3)."""
    which, _, of = text.partition("/")
    if not (which.isdigit() and of.isdigit() and 1 <= int(which) <= int(of)):
        raise argparse.ArgumentTypeError(f"'{text}' is not a part; give I/N with I from 1 to N, for example 2/3")
    return int(which), int(of)


def _evaluate(args: argparse.Namespace, outcomes: Sequence[Outcome], skeleton: Skeleton) -> Result:
    """All sequences together: the frames that were replayed, of the inputs that have results."""
    from sdtc_ros.evaluate.replays import measure_together

    names = [one.name for one in outcomes if one.written]
    return measure_together(
        [(_truth(args, name), args.out / name / POSETRACK / f"{name}.json") for name in names], skeleton, args.protocol
    )


def _write(args: argparse.Namespace, outcomes: Sequence[Outcome], result: Result | None) -> None:
    name = "batch-{}-of-{}.json".format(*args.part) if args.part else "batch.json"
    content = {"inputs": [asdict(one) for one in outcomes], "evaluation": result.to_json() if result else None}
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _summary(outcomes: Sequence[Outcome]) -> str:
    """A line an input, failures last, and the sums."""
    lines = [outcome_line(one) for one in sorted(outcomes, key=lambda one: one.status != NOTHING)]
    written = sum(one.written for one in outcomes)
    frames, seconds = (sum(getattr(one, key) for one in outcomes) for key in ("frames", "seconds"))
    part = sum(one.frames > 0 and not one.written for one in outcomes)
    whole = f"{written} of {len(outcomes)} inputs" + (f", {part} more in part" if part else "")
    return "\n".join(["", *lines, f"{whole}; {frames} frames, {seconds:.0f} s of replays"])


def _status(outcomes: Sequence[Outcome]) -> int:
    """0 where all is well or a status that all share; raises PartialInputError where some inputs failed."""
    bad = [one for one in outcomes if one.status not in (NOTHING, NOT_RUN)]
    if not bad:
        return 0
    if any(one.written for one in outcomes):
        failed = f"{len(bad)} of {len(outcomes)} inputs failed or were damaged, the first is {bad[0].name}"
        raise PartialInputError(f"{failed}; the others were written")
    statuses = {one.status for one in bad}
    return statuses.pop() if len(statuses) == 1 else 3
