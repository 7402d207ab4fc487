# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The self-check: every finding a line, nothing a traceback; the state of this machine is made up but for one run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_bundle import make_bundle

from sdtc_ros.__main__ import main
from sdtc_ros.doctor import BROKEN, MISSING, OK, Finding, checked, finding, gpu, installed, model, ros, shortened
from sdtc_ros.engine import accuracy_check as accuracy_module
from sdtc_ros.engine import gpu as driver
from sdtc_ros.engine import select as choose
from sdtc_ros.engine.accuracy_check import Deviation
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.engine.select import EngineConfig
from sdtc_ros.errors import BundleError, UsageError
from sdtc_ros.models.bundle import default_bundle, load_bundle

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sdtc_ros", "doctor", *words], cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, **environment},
    )  # fmt: skip


def by_what(found: list[Finding]) -> dict[str, Finding]:
    return {one.what: one for one in found}


@pytest.mark.slow
def test_here(tmp_path: Path) -> None:
    """The real thing, with the shipped model: every line one finding, the default path works, nothing private."""
    out = tmp_path / "findings.json"
    home = tmp_path / "home"
    done = run("--json", str(out), HOME=str(home), XDG_CACHE_HOME=str(home / "cache"), SDTC_CACHE="")
    assert done.returncode == 0, done.stderr
    told = json.loads(out.read_text())
    lines = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    assert len(lines) == len(told["findings"])
    assert told["works"] is True
    found = {one["what"]: one for one in told["findings"]}
    assert found["cpu fp32"]["state"] == OK
    right, of = (int(word) for word in found["cpu fp32"]["text"].split(", ")[-1].split(" joints")[0].split(" of "))
    assert right > of / 2  # the shipped model knows drawn people
    assert found["cache"]["text"].startswith("~/cache/sdtc_ros, 0 entries")
    assert load_bundle(default_bundle()).bundle_hash[:16] in found["bundle"]["text"]
    assert str(home) not in done.stdout + out.read_text()
    assert "The model runs on the CPU" in done.stdout.splitlines()[-1]
    assert "Traceback" not in done.stdout + done.stderr


def test_a_bundle_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 4, and the sentence that every other command would say."""
    for part in (installed, gpu, ros):
        monkeypatch.setattr(part, "findings", lambda: [Finding("Part", BROKEN, "thing", "bad")])
    folder = make_bundle(tmp_path / "fake").folder
    (folder / "encoder.onnx").write_bytes(b"another")
    assert main(["doctor", "--model", str(folder)]) == 4
    said = capsys.readouterr()
    assert "broken   bundle: '" in said.out
    assert "does not match model.json" in said.out
    assert said.out.splitlines()[-1].endswith("does not run on the CPU, which is the default. Broken lines: 4.")
    assert said.err == ""


@pytest.mark.slow
def test_a_numpy_that_does_not_import(tmp_path: Path) -> None:
    """Even so the doctor says what is wrong, and with what."""
    (tmp_path / "numpy.py").write_text("raise ImportError('numpy.core.multiarray failed to import')")
    done = run(PYTHONPATH=str(tmp_path))
    assert done.returncode == 4, done.stdout
    assert "broken   numpy: cannot be imported: ImportError: numpy.core.multiarray failed to import; pip" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_json_into_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", "nowhere/out.json"]) == 2
    assert capsys.readouterr().err == "sdtc_ros: error: --json nowhere/out.json: no such folder: nowhere\n"


def test_json_onto_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before anything is looked at."""
    assert main(["doctor", "--json", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"sdtc_ros: error: --json {tmp_path} is a folder; give a file name\n"


def test_an_error_in_a_check_is_a_finding() -> None:
    def fails() -> list[Finding]:
        raise KeyError("two\nlines")

    def refuses() -> list[Finding]:
        raise UsageError("one sentence")

    assert checked("P", "w", fails) == [Finding("P", BROKEN, "w", r"KeyError: 'two\nlines'")]
    assert checked("P", "w", refuses) == [Finding("P", BROKEN, "w", "one sentence")]
    assert str(Finding("P", OK, "w", "t")) == "  ok       w: t"
    assert str(Finding("P", MISSING, "w", "t", "do this")) == "  missing  w: t; do this"


@pytest.mark.slow
def test_a_package_that_crashes_is_told() -> None:
    assert finding.imported("print('fine')") == (True, "fine")
    assert finding.imported("raise ValueError('bad')") == (False, "ValueError: bad")
    assert finding.imported("import os; os.abort()") == (False, "its import crashes Python (signal 6)")


def test_nothing_private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ada"))
    monkeypatch.setattr(finding.getpass, "getuser", lambda: "ada")
    assert shortened("in /home/ada/.cache and /home/adam/x") == "in ~/.cache and /home/adam/x"
    assert shortened("/media/ada/disk, ada 2.0") == "/media/USER/disk, ada 2.0"


def test_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ONNX Runtimes at once are told; a package that only some need may be missing, one that all need may not."""
    present = {
        "onnxruntime": "1.31.1",
        "onnxruntime-gpu": "1.30.0",
        "numpy": "2.4.6",
        "opencv-python-headless": "4.10.0",
    }
    monkeypatch.setattr(installed, "packages", lambda: present)
    monkeypatch.setattr(installed, "imported", lambda program: (" rosbags" not in program, "9.9|/usr/lib/numpy/x.py"))
    found = [one for one in installed.findings() if one.what not in ("cache", "video")]
    (both,) = [one for one in found if "overwritten" in one.text]
    assert both.state == BROKEN
    assert both.advice.startswith("pip uninstall onnxruntime onnxruntime-gpu")
    by = by_what(found)
    assert by["opencv-python"].text == "opencv-python-headless 4.10.0"
    assert (by["torch"].state, by["rosbags"].state, by["numpy"].text) == (
        MISSING, BROKEN, "9.9 is imported, from /usr/lib/numpy; pip's records say 2.4.6"
    )  # fmt: skip


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SDTC_CACHE", str(tmp_path / "file" / "cache"))
    (found,) = installed._cache()
    assert found.state == BROKEN
    assert "SDTC_CACHE" in found.advice


def test_cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Name, capability and free memory of every card; on a Jetson its release."""
    release = tmp_path / "nv_tegra_release"
    release.write_text("# R36 (release), REVISION: 4.0, GCID: 37537400, BOARD: generic, EABI: aarch64\n")
    monkeypatch.setattr(gpu, "TEGRA", release)
    monkeypatch.setattr(driver, "gpus", lambda: ["Orin (compute capability 8.7)"])
    monkeypatch.setattr(driver, "free_memory", lambda number: (2 << 30, 8 << 30))
    jetson, card = gpu._cards()
    assert jetson.text == "R36 (release), REVISION: 4.0"
    assert (card.state, card.text) == (OK, "Orin (compute capability 8.7), 2.0 of 8.0 GiB free")

    def none() -> list[str]:
        raise UsageError("no GPU can be used: there is no NVIDIA driver here")

    monkeypatch.setattr(driver, "gpus", none)
    assert [one.state for one in gpu._cards()] == [OK, MISSING]


def test_runtimes_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "tensorrt as": (True, "11.4.0"), "tensorrt_lean": (False, "ModuleNotFoundError: No module named 'x'"),
        "pycuda": (False, "ImportError: libcuda.so.1"), "onnxruntime": (True, "CUDAExecutionProvider"),
    }  # fmt: skip
    monkeypatch.setattr(gpu, "imported", lambda text: next(said for key, said in answers.items() if key in text))
    by = by_what(gpu.findings())
    assert by["TensorRT"] == Finding(gpu.PART, OK, "TensorRT", "11.4.0")
    assert by["TensorRT lean"].state == MISSING
    assert by["pycuda"].state == BROKEN
    assert by["ONNX Runtime offers"] == Finding(gpu.PART, OK, "ONNX Runtime offers", "CUDA")


def test_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not sourced is no fault; sourced for another Python is, and is said."""
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setattr(ros, "imported", lambda text: (False, "ModuleNotFoundError: No module named 'rclpy'"))
    assert [one.state for one in ros.findings()] == [MISSING]
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    by = by_what(ros.findings())
    assert by["rclpy"].state == by["messages"].state == by["DDS"].state == BROKEN
    assert "apt-get install ros-jazzy-vision-msgs" in by["messages"].advice
    assert by["node"].state == BROKEN
    assert "constraints-ros.txt" in by["node"].advice
    assert not ros.node_starts(list(by.values()))
    monkeypatch.setattr(ros, "imported", lambda text: (True, "rmw_cyclonedds_cpp"))
    assert ros.node_starts(ros.findings())
    assert {one.state for one in ros.findings()} == {OK}
    assert by_what(ros.findings())["DDS"].text == "rmw_cyclonedds_cpp"


@pytest.mark.slow
def test_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line a provider and precision: what it costs, why it cannot be had, what took its place."""
    bundle = make_bundle(tmp_path / "fake")

    def opened(bundle, config, report):
        if config.provider == "cuda":
            raise UsageError("provider 'cuda' cannot be used: no driver")
        if config.provider == "tensorrt":
            report("building an engine: this takes minutes, once")
            raise BundleError("provider 'tensorrt' at fp32 is not used: it deviates")
        if config.provider == "tensorrt-direct":
            raise MemoryError("all gone")
        return OnnxEngine(bundle, threads=1)

    monkeypatch.setattr(choose, "open_engine", opened)
    found = model.findings(bundle.folder)
    by = by_what(found)
    assert by["cpu fp32"].state == OK
    assert " ms a person in batches of 8" in by["cpu fp32"].text
    assert by["cuda fp32"] == Finding(model.PART, MISSING, "cuda fp32", "provider 'cuda' cannot be used: no driver")
    assert by["tensorrt fp32"].state == BROKEN
    assert by["tensorrt fp32"].text == "provider 'tensorrt' at fp32 is not used: it deviates"
    assert by["tensorrt-direct fp32"].text == "MemoryError: all gone"
    assert model.works(found)
    assert not model.works([one for one in found if one.what != "cpu fp32"])


@pytest.mark.slow
def test_a_precision_that_deviates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the gate refuses is broken, though FP32 takes its place; what it passes is listed with its deviation."""
    monkeypatch.setenv("SDTC_CACHE", str(tmp_path / "cache"))
    bundle = make_bundle(tmp_path / "fake")
    monkeypatch.setattr(
        choose, "open_ungated", lambda bundle, config, **_: OnnxEngine(bundle, precision=config.precision)
    )
    monkeypatch.setattr(type(bundle), "graphs", lambda self, precision: (self.encoder, self.temporal))
    monkeypatch.setattr(type(bundle), "hash_of", lambda self, precision: precision)
    deviation = Deviation(100, 0.1, 0.2, 0.3, 0.0, 0.01, 5)
    monkeypatch.setattr(choose, "measure_deviation", lambda *_, **__: deviation)
    monkeypatch.setattr(accuracy_module, "measure_deviation", lambda *_, **__: deviation)
    (good,) = model._engine(bundle, EngineConfig("cpu", "int8"), "cpu int8")
    assert good.state == OK
    assert good.text.endswith(f"; deviation {deviation}")
    deviation = Deviation(100, 5.0, 6.0, 7.0, 1.0, 0.01, 5)
    monkeypatch.setenv("SDTC_CACHE", str(tmp_path / "another"))
    (bad,) = model._engine(bundle, EngineConfig("cpu", "int8"), "cpu int8")
    assert bad.state == BROKEN
    assert bad.text.startswith("provider 'cpu' at int8 is not used: keypoints deviate")
    assert not bad.text.endswith("fp32")


def test_precisions_go_where_they_can_run() -> None:
    bundle = SimpleNamespace(precisions={"fp16": None, "int8": None})
    wanted = model._wanted(bundle)  # type: ignore[arg-type]
    assert {config.precision for config in wanted if config.provider == "cpu"} == {"fp32", "int8"}
    assert {config.precision for config in wanted if config.provider == "tensorrt-direct"} == {"fp32", "fp16"}
    assert EngineConfig("cpu", "fp32") == wanted[0]


@pytest.mark.slow
def test_an_engine_that_finds_nothing_is_seen(tmp_path: Path) -> None:
    """Poses that are not numbers are an error; joints of a model that knows no people are not found."""
    bundle = make_bundle(tmp_path / "fake")
    engine = OnnxEngine(bundle, threads=1)
    right, asked = model.drawn_people(bundle, engine)
    assert 0 <= right < asked / 3
    monkey = engine.estimate

    def broken(windows, moves=None):
        keypoints, covariance = monkey(windows, moves)
        return keypoints * float("nan"), covariance

    engine.estimate = broken  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="contain NaN"):
        model.drawn_people(bundle, engine)
