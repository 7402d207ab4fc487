# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The command line itself: quick help, the info command, what becomes of errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fake_bundle import make_bundle

from sdtc_ros.__main__ import COMMANDS, main
from sdtc_ros.detection.person import default_detector
from sdtc_ros.models.bundle import load_bundle

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert COMMANDS[name].split()[0].lower() in capsys.readouterr().out.lower()


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from sdtc_ros.__main__ import main\n"
        "try: main(['replay', '--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('cv2', 'onnxruntime', 'rosbags', 'matplotlib', 'torch', 'trackers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_no_command_and_unknown_commands_are_usage_errors(capsys):
    for words in ([], ["dance"]):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 2
    assert "usage: python -m sdtc_ros" in capsys.readouterr().err


def test_info_tells_what_a_bundle_is(tmp_path, capsys):
    folder = make_bundle(tmp_path / "fake").folder
    assert main(["info", str(folder)]) == 0
    said = capsys.readouterr().out
    assert load_bundle(folder).bundle_hash in said
    assert "posetrack, 15 joints" in said
    assert "24 x 32 crops, windows of 5 frames" in said


def test_info_tells_what_the_person_detector_is(capsys):
    assert main(["info", str(default_detector())]) == 0
    told = capsys.readouterr().out
    assert "nanodet-person" in told and "a person detector: no pose model" in told
    assert "licence: Apache-2.0" in told and "package_licence: MIT" in told
    assert "of the 80 classes of COCO only the person is left" in told


def test_info_on_what_is_no_bundle(tmp_path, capsys):
    assert main(["info", str(tmp_path)]) == 4
    assert capsys.readouterr().err == f"sdtc_ros: error: '{tmp_path}' is not a model bundle: it has no model.json\n"
