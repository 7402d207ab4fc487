# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Train and compare the rows of a table: `python training/tables/ablate.py sdtc-5 [--seeds 0 1 2] [--max-steps 600]`.

A table is a YAML file in training/configs/tables: a title, the config its rows start from, and for each row a name, the
paper's figure and the options that differ. Each row and seed is a run of training/train.py in a folder of its own;
one that is finished is not trained again, one that was interrupted goes on from its last checkpoint. After every run
the table is rewritten beside the paper's figures, as table.md and table.png.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:  # so that `python training/tables/ablate.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

import yaml  # noqa: E402

from sdtc_ros.errors import BundleError, SdtcError, UsageError  # noqa: E402
from training.tables.comparison import Result, Row, write_comparison  # noqa: E402

TABLES = ROOT / "training" / "configs" / "tables"
CONFIGS = ROOT / "training" / "configs"


@dataclass(frozen=True)
class RowSpec:
    """One row. paper: its figure there (None where there is none); config: a config file of its own."""

    name: str
    paper: float | None = None
    options: dict[str, Any] = field(default_factory=dict)
    config: str | None = None


@dataclass(frozen=True)
class TableSpec:
    """A table. config: what its rows start from (a file name in training/configs); options: common to all rows."""

    title: str
    config: str
    rows: list[RowSpec]
    note: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def read_table(name: str) -> TableSpec:
    """A table of training/configs/tables by name, or any YAML file by path; UsageError says what is wrong with it."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else TABLES / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in TABLES.glob("*.yaml")))
        raise UsageError(f"unknown table '{name}'; choose from {known}, or give a .yaml file")
    try:
        content = yaml.safe_load(path.read_text())
        rows = [RowSpec(**row) for row in content.pop("rows")]
        table = TableSpec(rows=rows, **content)
    except (yaml.YAMLError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            f"{path} is not a table: it needs title, config and rows of name, paper, options ({error})"
        ) from None
    if not rows or len({slug(row.name) for row in rows}) < len(rows):
        raise UsageError(f"{path} needs at least one row, each with a unique name")
    return table


def slug(name: str) -> str:
    """A row's name as a folder's: letters and digits, the rest dashes."""
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def row_arguments(table: TableSpec, row: RowSpec, config: str | None, extra: list[str]) -> list[str]:
    """What `train.py fit` is given for a row, without run folder and seed; the user's `extra` options come last."""
    path = Path(row.config or config or table.config)
    path = path if path.is_file() else CONFIGS / path
    if not path.is_file():
        raise UsageError(f"row '{row.name}' starts from {path}, which does not exist")
    options = [part for key, value in (table.options | row.options).items() for part in (f"--{key}", _option(value))]
    return ["--config", str(path), *options, *extra]


def _option(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (bool, list, dict, type(None))) else str(value)


def run_row(arguments: list[str], folder: Path, seed: int) -> Result:
    """Train one row with one seed, or take what its folder holds already; BundleError where training failed."""
    record = folder / "result.json"
    if record.is_file():
        done = json.loads(record.read_text())
        if done["arguments"] != arguments:
            raise UsageError(f"{folder} has a run with other options: choose another --runs folder, or remove it")
        return Result(seed, done["validation"])
    last = folder / "checkpoints" / "last.ckpt"
    resume = ["--ckpt_path", str(last)] if last.is_file() else []
    command = [sys.executable, str(ROOT / "training" / "train.py"), "fit", *arguments]
    command += ["--run", str(folder), "--seed_everything", str(seed), *resume]
    if subprocess.run(command, check=False).returncode != 0:
        raise BundleError(f"training of {folder} failed: see above; run the same command again to resume")
    validation = last_validation(last)
    record.write_text(json.dumps({"arguments": arguments, "seed": seed, "validation": validation}, indent=1) + "\n")
    return Result(seed, validation)


def last_validation(checkpoint: Path) -> dict[str, float]:
    """The figures of the validation that a checkpoint carries, without their `val/`."""
    from training.checkpoint import KEY, read_checkpoint

    figures = read_checkpoint(checkpoint)[KEY].get("validation", {})
    if not figures:
        raise BundleError(
            f"{checkpoint} has no validation results: trainer.val_check_interval must divide trainer.max_steps"
        )
    return {name.removeprefix("val/"): value for name, value in figures.items()}


def compare(args: argparse.Namespace, extra: list[str]) -> Path:
    """Run what is asked for, row by row and seed by seed; returns the table's file."""
    table = read_table(args.table)
    rows = [row for row in table.rows if not args.only or any(part in slug(row.name) for part in args.only)]
    if not rows:
        raise UsageError(
            f"no row name contains {' or '.join(args.only)}: {', '.join(slug(r.name) for r in table.rows)}"
        )
    folder = args.runs / Path(args.table).stem
    plans = [(row, row_arguments(table, row, args.config, extra)) for row in rows]
    finished = [Row(row.name, row.paper, []) for row, _ in plans]
    for seed in args.seeds:
        for (row, arguments), answer in zip(plans, finished, strict=True):
            run = folder / slug(row.name) / f"seed-{seed}"
            if args.report and not (run / "result.json").is_file():
                continue
            print(f"{table.title}: {row.name}, seed {seed} -> {run}", flush=True)
            answer.results.append(run_row(arguments, run, seed))
            write_comparison(folder, table.title, table.note, finished)
    if not any(row.results for row in finished):
        raise UsageError(f"nothing in {folder} is finished yet: omit --report to train")
    return folder / "table.md"


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, print the table; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="training/tables/ablate.py",
        description="Train the rows of a table and compare them with the paper's figures.",
        epilog="Options it does not know go to training/train.py, e.g. --trainer.max_steps 600.",
    )  # fmt: skip
    parser.add_argument("table", help="a table of training/configs/tables, such as sdtc-5, or a YAML file")
    parser.add_argument("--config", help="start the rows from this config instead (a real data set's, say)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="train each row with each of these")
    parser.add_argument("--only", nargs="+", metavar="ROW", help="rows whose names contain one of these")
    parser.add_argument("--runs", type=Path, default=Path("runs/tables"), help="where the runs and the tables go")
    parser.add_argument("--report", action="store_true", help="train nothing: write the table of what is finished")
    args, extra = parser.parse_known_args(arguments)
    try:
        print(compare(args, extra).read_text())
    except SdtcError as error:
        print(f"ablate.py: error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
