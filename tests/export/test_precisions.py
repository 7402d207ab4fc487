# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Bundles in FP16 and INT8: what is made, what is judged and refused, what is kept; the commands that do it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from fake_bundle import TINY_BUNDLE, make_bundle
from onnx import TensorProto, numpy_helper

import export.precisions as module
from export.__main__ import main
from export.precisions import add_precisions, write_precision
from sdtc_ros.commands import info
from sdtc_ros.engine.accuracy_check import BOUNDS, Deviation
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.errors import BundleError
from sdtc_ros.models.bundle import Bundle, load_bundle, read_manifest, save_manifest

pytestmark = pytest.mark.slow

FULL = ["encoder.onnx", "model.json", "temporal.onnx"]
HALVES = ["encoder.fp16.onnx", "temporal.fp16.onnx"]
INTEGERS = ["encoder.int8.onnx", "temporal.int8.onnx"]
GOOD = Deviation(100, 0.001, 0.01, 0.02, 0.0, 0.001, 2)


def plain_copy(folder: Path) -> Path:
    """The shipped model in FP32 alone."""
    shipped = load_bundle(TINY_BUNDLE)
    folder.mkdir()
    for path in (shipped.encoder, shipped.temporal):
        shutil.copy(path, folder)
    manifest = json.loads((shipped.folder / "model.json").read_text())
    manifest.pop("precisions", None)
    manifest["files"] = {name: manifest["files"][name] for name in ("encoder.onnx", "temporal.onnx")}
    (folder / "model.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The shipped model in all precisions."""
    bundle, made = add_precisions(plain_copy(tmp_path_factory.mktemp("bundles") / "both"), ("fp16", "int8"), windows=8)
    assert [one.refusal for one in made] == ["", ""]
    return bundle


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle of arithmetic, whose precisions are found good."""
    monkeypatch.setattr(module, "measure_deviation", lambda *_, **__: GOOD)
    return make_bundle(tmp_path / "small").folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def test_the_shipped_model_in_every_precision(both: Bundle) -> None:
    """Listed, hashed, half and a third of the size; what identifies the model is as it was."""
    assert names(both.folder) == sorted([*FULL, *HALVES, *INTEGERS])
    assert list(both.precisions) == ["fp16", "int8"]
    assert both.bundle_hash == dataclasses.replace(both, precisions={}, files={
        name: digest for name, digest in both.files.items() if name in FULL
    }).bundle_hash  # fmt: skip
    assert len({both.hash_of(precision) for precision in ("fp32", "fp16", "int8")}) == 3
    size = {name: (both.folder / name).stat().st_size for name in both.files}
    assert size["encoder.fp16.onnx"] < 0.52 * size["encoder.onnx"]
    assert size["encoder.int8.onnx"] < 0.45 * size["encoder.onnx"]


def test_the_figures_are_kept_with_their_bounds(both: Bundle) -> None:
    for precision, entry in both.precisions.items():
        figures = entry.deviation
        assert 0 < figures["p50"] <= figures["p99"] <= figures["max"]
        assert figures["joints"] + figures["undecided"] == 8 * 15
        assert figures["allowed"]["p99"] == BOUNDS[precision].p99
    assert both.precisions["fp16"].deviation["p99"] < both.precisions["int8"].deviation["p99"]
    json.loads((both.folder / "model.json").read_text(), parse_constant=pytest.fail)


def test_the_engine_runs_what_was_asked_for(both: Bundle) -> None:
    """Tokens of the graph's own type; poses near those of FP32, and not the same."""
    crops = np.random.default_rng(0).integers(0, 256, (5, 128, 96, 3), np.uint8)
    engines = {precision: OnnxEngine(both, precision=precision, threads=1) for precision in ("fp32", "fp16", "int8")}
    answers = {}
    for precision, engine in engines.items():
        handles = engine.encode(crops)
        assert handles[0][0].dtype == (np.float16 if precision == "fp16" else np.float32)
        answers[precision], covariance = engine.estimate([handles, handles[::-1]])
        assert answers[precision].dtype == covariance.dtype == np.float32
    for precision in ("fp16", "int8"):
        difference = np.abs(answers[precision][..., 2] - answers["fp32"][..., 2]).max()
        assert 0 < difference < 0.05


def test_int8_multiplies_integers_but_not_where_poses_are_decoded(both: Bundle) -> None:
    encoder, temporal = both.graphs("int8")
    assert operators(encoder)["MatMulInteger"] == 25
    assert operators(temporal)["MatMulInteger"] == 20
    assert operators(encoder)["Conv"] == operators(both.encoder)["Conv"]
    weights = [w for w in onnx.load(encoder).graph.initializer if w.data_type == TensorProto.INT8 and len(w.dims) == 2]
    assert len(weights) == 25
    assert all(np.abs(numpy_helper.to_array(weight).astype(int)).max() <= 64 for weight in weights)  # 7 bits
    graph = onnx.load(temporal).graph
    after = {name for node in graph.node if "heatmaps" in node.input for name in node.output}
    for node in graph.node:
        if after.intersection(node.input):
            assert node.op_type not in ("DynamicQuantizeLinear", "MatMulInteger")
            after.update(node.output)


def test_others_stay_and_the_same_is_made_again(small: Path) -> None:
    (small / "notes.txt").write_text("mine")
    add_precisions(small, ["fp16"])
    first = (small / "encoder.fp16.onnx").read_bytes()
    manifest = json.loads((small / "model.json").read_text())
    bundle, _ = add_precisions(small, ["fp16"])
    assert list(bundle.precisions) == ["fp16"]
    assert (small / "encoder.fp16.onnx").read_bytes() == first
    assert json.loads((small / "model.json").read_text()) == manifest
    bundle, made = add_precisions(small, ["int8"])
    assert list(bundle.precisions) == ["fp16"]
    assert made[0].refusal.startswith("the graphs have no matrix products with constant weights")
    assert names(small) == sorted([*FULL, *HALVES, "notes.txt"])


def test_what_deviates_is_refused_and_leaves_nothing(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_precisions(small, ["fp16"])
    before = (small / "encoder.onnx").read_bytes()
    monkeypatch.setattr(module, "measure_deviation", lambda *_, **__: dataclasses.replace(GOOD, p99=0.81))
    bundle, made = add_precisions(small, ["fp16"])
    assert made[0].refusal == (
        "keypoints deviate from those of FP32 on the CPU: the 99th percentile by 0.81 px (allowed 0.8)"
    )
    assert bundle.precisions == {}
    assert names(small) == FULL
    assert (small / "encoder.onnx").read_bytes() == before


def test_an_interruption_leaves_the_bundle(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in small.iterdir()}

    def interrupted(*_: object, **__: object) -> Deviation:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "measure_deviation", interrupted)
    assert main(["add", str(small)]) == 130
    assert {path.name: path.read_bytes() for path in small.iterdir()} == before


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_weights_lie_beside_the_graph_where_those_of_fp32_do(both: Bundle, tmp_path: Path, precision: str) -> None:
    for name in ("encoder.onnx", "temporal.onnx"):
        model = onnx.load(both.folder / name)
        onnx.save_model(model, tmp_path / name, save_as_external_data=True, location=name + ".data")
    plain = {key: value for key, value in read_manifest(both.folder).items() if key != "precisions"}
    write_precision(save_manifest(tmp_path, plain, {}), precision)
    added = [name for name in names(tmp_path) if precision in name]
    stems = [f"encoder.{precision}.onnx", f"temporal.{precision}.onnx"]
    assert added == sorted([*stems, *(stem + ".data" for stem in stems)])
    for got, expected in zip(stems, both.graphs(precision), strict=True):
        ours, theirs = onnx.load(tmp_path / got).graph, onnx.load(expected).graph
        for one, other in zip(ours.initializer, theirs.initializer, strict=True):
            np.testing.assert_array_equal(numpy_helper.to_array(one), numpy_helper.to_array(other))


def test_the_command_adds_and_info_tells(both: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["add", str(both.folder), "--precisions", "fp16"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("fp16 (7.2 MB) against FP32: p50 0.00")
    assert told.err == ""
    info.run(argparse.Namespace(bundle=both.folder))
    told = capsys.readouterr()
    assert "also in   fp16, 7.2 MB; keypoints against fp32: half within 0.00" in told.out
    assert "also in   int8, " in told.out


def test_the_command_says_what_it_refuses(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "measure_deviation", lambda *_, **__: dataclasses.replace(GOOD, joints=1, undecided=9))
    assert main(["add", str(small)]) == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        f"export: fp16 is not in {small}: FP32 itself is undecided about 9 of 10 joints, too many to judge by\n"
    )
    assert main(["add", str(tmp_path / "nowhere")]) == 4
    assert "is not a folder" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["add", str(small), "--precisions", "fp8"])


def test_add_needs_no_torch(tmp_path: Path) -> None:
    small = plain_copy(tmp_path / "small")
    code = (
        f"import sys; sys.modules['torch'] = None; from export.__main__ import main; sys.exit(main(['add', '{small}']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert list(load_bundle(small).precisions) == ["fp16"]


def test_a_precision_that_the_bundle_lacks(small: Path) -> None:
    bundle = load_bundle(small)
    told = rf"has no graphs in int8, but in fp32; `python -m export add {small} --precisions int8` adds them"
    with pytest.raises(BundleError, match=told):
        OnnxEngine(bundle, precision="int8")
    with pytest.raises(BundleError, match="has no graphs in fp64, but in fp32$"):
        bundle.graphs("fp64")
