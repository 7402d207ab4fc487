# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Many replays at once: each equals the single one, failures stay their own, Ctrl-C ends all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from batch_world import FRAMES, NAMES, batch, inputs, make_world
from fake_bundle import make_bundle

from sdtc_ros.__main__ import main
from sdtc_ros.commands import batch as command
from sdtc_ros.evaluate import evaluate
from sdtc_ros.ground_truth.posetrack import read_folder, read_sequence
from sdtc_ros.replay.many import Outcome
from sdtc_ros.replay.outputs import RECORD, RESULT

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("model") / "fake").folder


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


def files_of(folder: Path) -> dict[str, bytes]:
    """Everything a replay writes but its report, record and log, which tell times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".json", ".mcap", ".yaml") and path.name not in (RECORD, RESULT)
    }


def test_results_are_those_of_single_replays_and_are_evaluated_together(world, tmp_path, model, capsys):
    truth = ["--detector", "truth", "--truth"]
    assert batch(inputs(world), tmp_path / "many", model, "--jobs", 2, *truth, world / "truth") == 0
    printed = capsys.readouterr().out
    for name in NAMES:
        single = ["replay", world / "in" / name, "--out", tmp_path / "single" / name, "--model", model]
        single += ["--threads", 1, "--no-video", *truth, world / "truth" / f"{name}.json"]
        assert main(list(map(str, single))) == 0
        ours = files_of(tmp_path / "many" / name)
        assert len(ours) >= 4
        assert ours == files_of(tmp_path / "single" / name)
        assert f"{name}: {FRAMES} frames, {FRAMES} poses" in printed
    answers = [read_sequence(tmp_path / "many" / name / "posetrack" / f"{name}.json") for name in NAMES]
    expected = evaluate(read_folder(world / "truth"), answers)
    summary = json.loads((tmp_path / "many" / "batch.json").read_text())
    assert summary["evaluation"]["ap"] == pytest.approx(expected.ap)
    assert summary["evaluation"]["counts"]["sequences"] == 3
    assert [one["name"] for one in summary["inputs"]] == list(NAMES)
    assert all(one["status"] == 0 and one["ap"] is not None for one in summary["inputs"])
    assert expected.table() in printed


def test_a_failure_is_told_and_costs_the_others_nothing(world, tmp_path, model, capsys):
    broken = tmp_path / "broken"
    broken.mkdir()
    out = tmp_path / "out"
    assert batch([inputs(world)[0], broken], out, model, "--jobs", 2) == 5
    captured = capsys.readouterr()
    assert "1 of 2 inputs failed or were damaged, the first is broken; the others were written" in captured.err
    assert "broken: 0 frames, 0 poses" in captured.out
    assert "status 3" in captured.out
    assert len(read_sequence(out / "east" / "posetrack" / "east.json").frames) == FRAMES
    assert json.loads((out / "broken" / "batch.json").read_text())["problem"].startswith(f"{broken} ")
    assert batch([broken], out, model) == 3


@pytest.mark.parametrize(
    ("change", "status", "sentence"),
    [
        (["--jobs", 0], 2, "--jobs must be >= 1, got 0"),
        (["--model", "nowhere"], 4, "model bundle 'nowhere' is not a folder"),
        (["--truth", "nowhere"], 3, "nowhere has no east.json, the annotations of the input east"),
        (["nix.mp4", "--truth", "nowhere"], 3, "nix.mp4 does not exist"),
        (["--start", -1], 2, "--start must be 0 or more"),
        (["--lookahead", 9], 2, "lookahead must be between 0 and 2"),
        (["--detector", "nix.onnx"], 4, "detector 'nix.onnx' does not exist"),
        (["--detector", "truth"], 2, "give them with --truth"),
    ],
)
def test_bad_arguments_are_one_sentence_before_anything_runs(world, tmp_path, model, capsys, change, status, sentence):
    out = tmp_path / "out"
    sources = [Path("nix.mp4")] if "nix.mp4" in change else inputs(world)
    assert batch(sources, out, model, *[word for word in change if word != "nix.mp4"]) == status
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_inputs_of_one_name_are_refused(world, tmp_path, model, capsys):
    (tmp_path / "east").mkdir()
    assert batch([inputs(world)[0], tmp_path / "east"], tmp_path / "out", model) == 2
    assert "several inputs are named east" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["0/2", "3/2", "2", "a/b", "1/0"])
def test_a_part_that_is_none(world, tmp_path, model, part, capsys):
    with pytest.raises(SystemExit) as stopped:
        batch(inputs(world), tmp_path / "out", model, "--part", part)
    assert stopped.value.code == 2
    assert f"'{part}' is not a part" in capsys.readouterr().err


def test_interrupted_all_stop_and_keep_what_they_did(tmp_path, model):
    """Really interrupted: two processes that would take long, a third input that must not begin."""
    videos = [tmp_path / f"{name}.avi" for name in NAMES]
    for video in videos:
        writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (320, 240))
        for i in range(900):
            writer.write(np.full((240, 320, 3), i % 250, np.uint8))
        writer.release()
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps([{"frame": n, "bbox": [8, 6, 24, 40], "track_id": 5} for n in range(900)]))
    out = tmp_path / "out"
    words = [sys.executable, "-m", "sdtc_ros", "batch", *videos, "--out", out, "--model", model, "--jobs", 2]
    process = subprocess.Popen(
        [str(word) for word in [*words, "--boxes", boxes, "--threads", 1]],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not all((out / name / "annotated.mp4").exists() for name in NAMES[:2]) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors + printed
    assert "west: not begun" in printed
    assert printed.count("status 130: stopped, and what was done until then is written") == 4  # as it ends, and at last
    assert "0 of 3 inputs, 2 more in part" in printed
    assert not (out / "west").exists()
    for name in NAMES[:2]:
        frames = read_sequence(next((out / name / "posetrack").iterdir())).frames
        assert 0 < len(frames) < 900
        assert json.loads((out / name / "batch.json").read_text())["status"] == 130


def test_a_part_without_inputs_says_so(world, tmp_path, model, capsys):
    assert batch(inputs(world), tmp_path / "out", model, "--part", "4/4") == 0
    assert capsys.readouterr().out == "part 4/4 of 3 inputs has none: nothing to do\n"
    assert not (tmp_path / "out").exists()


def test_an_evaluation_that_fails_costs_no_table(world, tmp_path, model, capsys):
    """Annotations of another input, or broken ones: inputs and their files are told all the same."""
    truth = tmp_path / "truth"
    truth.mkdir()
    (truth / "east.json").write_text("{}")
    assert batch(inputs(world)[:1], tmp_path / "out", model) == 0
    capsys.readouterr()
    assert batch(inputs(world)[:1], tmp_path / "out", model, "--resume", "--truth", truth) == 3
    captured = capsys.readouterr()
    assert "1 of 1 inputs" in captured.out
    assert "east.json is not a PoseTrack file" in captured.err
    assert json.loads((tmp_path / "out" / "batch.json").read_text())["evaluation"] is None


def test_cores_are_shared_by_what_runs(world, tmp_path, model, monkeypatch):
    """Eight cores: two inputs to do get four each, however many are named."""
    given = []

    def run_tasks(tasks, jobs, stop, say):
        given.append((jobs, [word for task in tasks for word in task.words if word.startswith("--threads")]))
        return [Outcome(task.name, str(task.source), 3, problem="made up") for task in tasks]

    monkeypatch.setattr(command, "cores", lambda: 8)
    monkeypatch.setattr(command, "run_tasks", run_tasks)
    words = ["batch", *inputs(world), "--out", tmp_path, "--model", model]
    for more in ([], ["--part", "1/2"], ["--jobs", 8], ["--threads", 3]):
        assert main([str(word) for word in [*words, *more]]) == 3, "the status that all share"
    assert given == [
        (3, ["--threads=2"] * 3),
        (2, ["--threads=4"] * 2),
        (3, ["--threads=2"] * 3),
        (3, ["--threads=3"] * 3),
    ]
    monkeypatch.setattr(
        command, "run_tasks", lambda tasks, *_: [Outcome(t.name, "", i + 2) for i, t in enumerate(tasks)]
    )
    assert main(list(map(str, words))) == 3, "2, 3 and 4 have no status in common"
    monkeypatch.setattr(command, "run_tasks", lambda tasks, *_: [Outcome(t.name, "", 4) for t in tasks])
    assert main(list(map(str, words))) == 4
