# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""batch --scheduler on a local Dask cluster: the same outcomes, also where a worker is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest
from fake_bundle import make_bundle

from sdtc_ros.__main__ import main
from sdtc_ros.replay.outputs import LOG

pytestmark = pytest.mark.slow

FRAMES, INPUTS = 6, 3


def make_inputs(folder: Path) -> list[str]:
    """Folders of pictures, a boxes file that fits all, and a model."""
    names = [str(folder / f"clip{n}") for n in range(INPUTS)]
    for name in names:
        Path(name).mkdir()
        for number in range(FRAMES):
            cv2.imwrite(f"{name}/{number:06d}.png", np.full((64, 80, 3), 20 * number, np.uint8))
    rows = [{"frame": n, "bbox": [8, 6, 24, 40], "track_id": 1} for n in range(FRAMES)]
    (folder / "boxes.json").write_text(json.dumps(rows))
    make_bundle(folder / "model")
    return names


def test_without_a_scheduler_there(tmp_path, capsys, monkeypatch):
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.setattr("sdtc_ros.replay.cluster._CONNECT", 1.0)
    words = ["--boxes", str(tmp_path / "boxes.json"), "--model", str(tmp_path / "model"), "--no-video"]
    inputs = make_inputs(tmp_path)
    assert main(["batch", *inputs, "--out", str(tmp_path / "out"), "--scheduler", "tcp://127.0.0.1:9", *words]) == 2
    assert "no Dask scheduler responds at tcp://127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.slow
def test_a_killed_worker_costs_no_input(tmp_path, capsys):
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    inputs = make_inputs(tmp_path)
    words = ["--boxes", str(tmp_path / "boxes.json"), "--model", str(tmp_path / "model"), "--no-video"]
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        killer = Thread(target=kill_one, args=(cluster, tmp_path / "out"))
        killer.start()
        out = ["--out", str(tmp_path / "out"), "--scheduler", cluster.scheduler_address]
        assert main(["batch", *inputs, *out, *words]) == 0
        killer.join()
    for name in (Path(path).name for path in inputs):
        data = json.loads((tmp_path / "out" / name / "posetrack" / f"{name}.json").read_text())
        assert len(data["images"]) == FRAMES
    assert f"{INPUTS} of {INPUTS} inputs" in capsys.readouterr().out
    assert main(["batch", *inputs, *out, *words, "--resume"]) == 0  # all is done: no scheduler is asked


def kill_one(cluster: object, out: Path) -> None:
    """Kill a worker as soon as a replay runs."""
    until = time.monotonic() + 120
    while not list(out.glob(f"*/{LOG}")) and time.monotonic() < until:
        time.sleep(0.05)
    for worker in list(cluster.workers.values())[:1]:
        os.kill(worker.pid, signal.SIGKILL)
