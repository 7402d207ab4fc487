# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Tables: the shipped files build what they say, runs are resumed, not repeated, and the table has their figures."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import torch

from training.checkpoint import FORMAT, KEY
from training.tables import ablate
from training.tables.ablate import CONFIGS, TABLES, main, read_table, row_arguments, slug
from training.tables.comparison import Result, Row, comparison_table, write_comparison
from training.train import build

SHIPPED = sorted(path.stem for path in TABLES.glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_rows_of_shipped_tables_build_different_networks(name):
    table = read_table(name)
    built = set()
    for row in table.rows:
        arguments = row_arguments(table, row, None, ["--model.init_args.backbone_checkpoint", "null"])
        with torch.device("meta"):  # without memory: the papers' sizes are among them
            command = build(arguments)
        built.add(f"{command.model.network.config} {command.model.lam} {command.config['data']}")
        assert command.datamodule.config.delta == command.model.network.config.delta
    assert len(built) == len(table.rows)


@pytest.fixture
def trainings(monkeypatch):
    """train.py replaced: it notes its command and leaves a checkpoint with figures, or fails when told to."""
    calls: list[list[str]] = []
    state = {"fail": False}

    def run(command, check):
        calls.append(command)
        folder = Path(command[command.index("--run") + 1])
        seed = int(command[command.index("--seed_everything") + 1])
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        figures = {"val/pckh_all": 60.0 + seed, "val/pckh_occluded": 40.0}
        entry = {"format": FORMAT, "kind": "sdtc", "config": {}, "validation": figures}
        torch.save({KEY: entry, "state_dict": {}}, folder / "checkpoints" / "last.ckpt")
        return subprocess.CompletedProcess(command, 1 if state["fail"] else 0)

    monkeypatch.setattr(ablate.subprocess, "run", run)
    return calls, state


def arguments(tmp_path: Path, *more: str) -> list[str]:
    return ["sdtc-6", "--runs", str(tmp_path), *more]


@pytest.mark.slow
def test_each_row_and_seed_is_trained_once(tmp_path, trainings, capsys):
    calls, _ = trainings
    assert main(arguments(tmp_path, "--seeds", "0", "2", "--trainer.max_steps", "5")) == 0
    assert len(calls) == 8  # two seeds of four rows
    first = calls[0]
    assert first[first.index("--config") + 1] == str(CONFIGS / "sdtc-micro.yaml")
    assert first[first.index("--model.init_args.config.smml.fusion") + 1] == "add"
    assert first[first.index("--model.init_args.config.smml.propagation") + 1] == "false"
    assert first[first.index("--trainer.max_steps") + 1] == "5"
    assert "61.0 ± 1.4" in (tmp_path / "sdtc-6" / "table.md").read_text()
    assert (tmp_path / "sdtc-6" / "table.png").stat().st_size > 5000
    capsys.readouterr()
    assert main(arguments(tmp_path, "--seeds", "0", "1", "2", "--trainer.max_steps", "5")) == 0
    assert len(calls) == 12
    assert "| 87.5 | 61.0 ± 1.0 | 40.0 ± 0.0 | 3 |" in capsys.readouterr().out


@pytest.mark.slow
def test_other_options_are_not_mixed_with_a_finished_run(tmp_path, trainings, capsys):
    assert main(arguments(tmp_path, "--trainer.max_steps", "5")) == 0
    assert main(arguments(tmp_path, "--trainer.max_steps", "6")) == 2
    assert "other options" in capsys.readouterr().err


@pytest.mark.slow
def test_an_interrupted_run_goes_on_from_its_checkpoint(tmp_path, trainings, capsys):
    calls, state = trainings
    state["fail"] = True
    assert main(arguments(tmp_path, "--only", "fusion")) == 4
    assert "run the same command again" in capsys.readouterr().err
    assert "--ckpt_path" not in calls[0]
    state["fail"] = False
    assert main(arguments(tmp_path, "--only", "fusion")) == 0
    last = tmp_path / "sdtc-6" / "sdtc-fusion" / "seed-0" / "checkpoints" / "last.ckpt"
    assert calls[1][-2:] == ["--ckpt_path", str(last)]


@pytest.mark.slow
def test_report_trains_nothing(tmp_path, trainings, capsys):
    calls, _ = trainings
    assert main(arguments(tmp_path, "--report")) == 2
    assert "nothing" in capsys.readouterr().err
    main(arguments(tmp_path, "--only", "fusion"))
    assert main(arguments(tmp_path, "--report")) == 0
    assert len(calls) == 1
    assert "| (a) refinement | 86.6 | - | - | 0 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("title: a\nconfig: sdtc-tiny.yaml\nrows: []", "at least one row"),
        ("title: a\nrows: [{name: b}]", "needs title, config and rows"),
        ("title: a\nconfig: sdtc-tiny.yaml\nrows: [{name: b, papr: 1}]", "papr"),
        ("title: a\nconfig: sdtc-tiny.yaml\nrows: [{name: b}, {name: 'B!'}]", "each with a unique name"),
        ("- 1", "needs title, config and rows"),
        ("title: [", "needs title, config and rows"),
        ("title: a\nconfig: gone.yaml\nrows: [{name: b}]", "does not exist"),
    ],
)
def test_bad_tables_get_one_sentence(tmp_path, capsys, content, words):
    (tmp_path / "t.yaml").write_text(content)
    assert main([str(tmp_path / "t.yaml"), "--runs", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said


def test_unknown_table_and_row(capsys, tmp_path):
    assert main(["sdtc-99"]) == 2
    assert "sdtc-5" in capsys.readouterr().err
    assert main(arguments(tmp_path, "--only", "nonsense")) == 2
    assert "(a) refinement".replace("(a) ", "a-") in capsys.readouterr().err


def test_result_record_is_plain(tmp_path, trainings):
    main(arguments(tmp_path, "--only", "fusion"))
    record = json.loads((tmp_path / "sdtc-6" / "sdtc-fusion" / "seed-0" / "result.json").read_text())
    assert record["validation"] == {"pckh_all": 60.0, "pckh_occluded": 40.0}


def test_options_of_the_table_are_every_row_s_unless_it_has_its_own(tmp_path):
    path = tmp_path / "t.yaml"
    path.write_text(
        "title: t\nconfig: sdtc-micro.yaml\noptions: {a: 1, b: 2}\nrows: [{name: x}, {name: y, options: {b: 3}}]\n"
    )
    table = read_table(str(path))
    first, second = (row_arguments(table, row, None, [])[2:] for row in table.rows)
    assert first == ["--a", "1", "--b", "2"]
    assert second == ["--a", "1", "--b", "3"]


def test_slug():
    assert slug("(a) λ = 0.01, r = 50 %") == "a-λ-0-01-r-50"


def test_table_without_papers_figures(tmp_path):
    rows = [Row("single", None, [Result(0, {"ap_total": 50.0})]), Row("sdtc", None, [])]
    assert comparison_table(rows).splitlines()[0] == "| row | AP | seeds |"
    write_comparison(tmp_path, "t", "A note.", rows)
    assert (tmp_path / "table.md").read_text().endswith("A note.\n")
