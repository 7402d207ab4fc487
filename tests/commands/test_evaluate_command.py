# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`python -m sdtc_ros evaluate` from outside: what it prints and writes, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pose_sets import predict, truth_set

from sdtc_ros.__main__ import main
from sdtc_ros.evaluate import evaluate
from sdtc_ros.ground_truth.posetrack import read_folder
from sdtc_ros.ground_truth.posetrack_write import write_folder

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def words(*arguments: object) -> list[str]:
    return ["evaluate", *map(str, arguments)]


@pytest.fixture
def folders(tmp_path):
    """(truth, predictions): two sequences, written as files."""
    rng = np.random.default_rng(4)
    truth = truth_set(rng, 2, 4, 3)
    write_folder(truth, tmp_path / "truth")
    write_folder([predict(rng, sequence) for sequence in truth], tmp_path / "predictions")
    return tmp_path / "truth", tmp_path / "predictions"


def test_table_and_json(folders, tmp_path):
    truth, predictions = folders
    command = words("--truth", truth, "--predictions", predictions, "--json", tmp_path / "out.json")
    done = subprocess.run(
        [sys.executable, "-m", "sdtc_ros", *command], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "Shoulder" in done.stdout
    assert "posetrack18: 2 sequences" in done.stdout
    data = json.loads((tmp_path / "out.json").read_text())
    result = evaluate(read_folder(truth), read_folder(predictions))
    assert data == json.loads(json.dumps(result.to_json()))
    assert (
        set(data["ap"]) == set(data["precision"]) == set(data["recall"]) == {*result.protocol.skeleton.joints, "total"}
    )
    assert list(data["groups"]["ap"]) == ["Head", "Shoulder", "Elbow", "Wrist", "Hip", "Knee", "Ankle", "Mean"]


@pytest.fixture
def failure(capsys) -> Callable[..., str]:
    """The one sentence of a run that fails with exit status 3."""

    def run(*arguments: object) -> str:
        assert main(words(*arguments)) == 3
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert said.err.startswith("sdtc_ros: error: ")
        return said.err

    return run


def test_a_missing_prediction_file_is_named(folders, failure):
    truth, predictions = folders
    (predictions / "000002_mpii_test.json").unlink()
    assert "sequence 000002_mpii_test has no predictions" in failure("--truth", truth, "--predictions", predictions)


def test_a_damaged_file_is_named(folders, failure):
    truth, predictions = folders
    file = predictions / "000001_mpii_test.json"
    file.write_text(file.read_text()[:1000])
    assert f"{file} is not valid JSON" in failure("--truth", truth, "--predictions", predictions)


def test_missing_folders_are_named(folders, tmp_path, failure):
    truth, predictions = folders
    assert f"{tmp_path / 'x'} does not exist" in failure("--truth", tmp_path / "x", "--predictions", predictions)
    assert "holds no *.json" in failure("--truth", truth, "--predictions", tmp_path)
    missing = tmp_path / "no" / "out.json"
    assert f"{missing} cannot be written" in failure("--truth", truth, "--predictions", predictions, "--json", missing)


def test_truth_of_another_protocol_is_named(folders, failure):
    truth, predictions = folders
    message = failure("--truth", truth, "--predictions", predictions, "--protocol", "hieve")
    assert "holds no HiEve annotations" in message


def test_an_unknown_protocol_is_a_usage_error(folders, capsys):
    truth, predictions = folders
    with pytest.raises(SystemExit) as stopped:
        main(words("--truth", truth, "--predictions", predictions, "--protocol", "mpii"))
    assert stopped.value.code == 2
    assert "posetrack21" in capsys.readouterr().err
