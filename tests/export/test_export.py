# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Checkpoint -> bundle: what is written, that it agrees with torch, and what is refused."""

import argparse
import copy
import dataclasses
import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from graph_rules import check_bundle
from torch import nn

from export.__main__ import main
from export.bundle import export_bundle
from export.graphs import EncoderGraph, TemporalGraph, example_inputs, save_graphs, trace, trace_graphs
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.errors import BundleError, UsageError
from sdtc_ros.models.bundle import load_bundle
from training.checkpoint import KEY, describe, load_network
from training.models.baselines import SingleFrame, SingleFrameConfig
from training.models.masking import tube_mask
from training.models.mlsme import MLSMEConfig
from training.models.sdtc import SDTC, SDTCConfig
from training.models.vit import ViTConfig

pytestmark = pytest.mark.slow

VIT = ViTConfig(image_size=(64, 48), patch=16, padding=0, dim=32, depth=1, heads=2, stem="conv")
GRAPHS = ("encoder.onnx", "temporal.onnx")


def save(network, path, **more):
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({KEY: describe(network) | more, "state_dict": weights, "epoch": 0, "global_step": 7}, path)
    return path


def lively(network):
    """Norms with statistics and a head that says something, so that agreement is not trivial."""
    torch.manual_seed(3)
    network.train()
    crops = torch.randint(0, 256, (4, 2 * network.config.delta + 1, 64, 48, 3), dtype=torch.uint8)
    with torch.no_grad():
        network.head.final.weight.normal_(0, 0.5)
        network(crops)
        for part in unused(network):
            for weight in part.parameters():
                weight.normal_()  # no ones and zeros, which any graph holds
    return network.eval()


def unused(network):
    """What only training needs."""
    return [network.decoder, network.mlsme.tube_token, network.mlsme.frame_token] if hasattr(network, "mlsme") else []


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    config = SDTCConfig(backbone=VIT, channels=16, head_width=8, mlsme=MLSMEConfig(heads=2))
    path = tmp_path_factory.mktemp("checkpoint") / "sdtc.ckpt"
    figures = {"val/pckh_all": 70.5, "val/pckh_hidden": float("nan")}
    return save(lively(SDTC(config)), path, validation=figures, boxes="boxes of found.json")


@pytest.fixture(scope="module")
def graphs(checkpoint):
    """The one slow step, taken once for all tests."""
    return trace_graphs(load_network(checkpoint))


@pytest.fixture
def traced(graphs, monkeypatch):
    """export_bundle with the graphs that are there already."""
    monkeypatch.setattr("export.graphs.trace_graphs", lambda network: graphs)


@pytest.fixture(scope="module")
def exported(checkpoint, graphs, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.graphs.trace_graphs", lambda network: graphs)
        return export_bundle(checkpoint, tmp_path_factory.mktemp("bundles") / "tiny", "tiny", {"note": "no"}, windows=8)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def answers(bundle):
    """What the engine says to random crops: keypoints and covariance."""
    crops = np.random.default_rng(0).integers(0, 256, (15, 64, 48, 3), dtype=np.uint8)
    engine = OnnxEngine(bundle, threads=1)
    handles = engine.encode(crops)
    return crops, *engine.estimate([handles[i : i + 5] for i in (0, 5, 10)])


def test_bundle_says_what_it_is(exported):
    bundle, parity = exported
    loaded = load_bundle(bundle.folder)
    assert (loaded.name, loaded.delta, loaded.input_size) == ("tiny", 2, (48, 64))
    assert loaded.tokens == {"tokens": (12, 16)}
    assert (loaded.training["kind"], loaded.training["epoch"], loaded.training["steps"]) == ("sdtc", 0, 7)
    assert loaded.training["config"]["channels"] == 16
    figures = {"val/pckh_all": 70.5, "val/pckh_hidden": None}
    assert loaded.accuracy == {"note": "no", "validation": figures, "boxes": "boxes of found.json"}
    assert loaded.parity["windows"] == parity.windows == 8
    assert loaded.parity["joints"] == 120
    assert loaded.parity["undecided"] <= 12
    assert sorted(content(bundle.folder)) == ["encoder.onnx", "model.json", "temporal.onnx"]


def test_engine_gives_what_torch_gives(exported, checkpoint):
    crops, got, got_covariance = answers(exported[0])
    network = load_network(checkpoint)
    with torch.no_grad():
        tokens = network.encode(torch.from_numpy(crops)).unflatten(0, (3, 5))
        keypoints, covariance, _ = TemporalGraph(network)(tokens)
    np.testing.assert_allclose(got, keypoints.numpy(), atol=0.05)
    np.testing.assert_allclose(got_covariance, covariance.numpy(), rtol=1e-2, atol=0.01)


def test_graphs_are_lean(exported):
    """Only the batch is dynamic, norms and activations are single operators, and no machine's folders are told."""
    shapes = {}
    for name in GRAPHS:
        model = onnx.load(exported[0].folder / name)
        onnx.checker.check_model(model, full_check=True)
        for value in (*model.graph.input, *model.graph.output):
            kind = value.type.tensor_type
            shapes[value.name] = [d.dim_param or d.dim_value for d in kind.shape.dim]
        kinds = [node.op_type for node in model.graph.node]
        assert not {"BatchNormalization", "Pow", "Erf", "Sqrt", "ReduceMean"}.intersection(kinds)
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
        assert b".py" not in model.SerializeToString()
        if name == "encoder.onnx":
            assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
            assert (kinds.count("LayerNormalization"), kinds.count("Gelu"), kinds.count("Cast")) == (3, 1, 1)
    assert shapes == {
        "crops": ["batch", 64, 48, 3], "tokens": ["batch", 5, 12, 16], "keypoints": ["batch", 15, 3],
        "spread": ["batch", 15, 3], "heatmaps": ["batch", 15, 16, 12],
    }  # fmt: skip


def test_graphs_parse_in_tensorrt_and_have_a_typed_fp16_form(exported):
    check_bundle(exported[0].encoder, exported[0].temporal, {"Conv": 1, "MatMul": 3})


class TrainingGraph(nn.Module):
    """What must not be exported, so that the search for it can be seen to find it."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, tokens):
        mask = tube_mask(1, tokens.shape[2], 0.5)
        masked = self.network.mlsme.tube_token(tokens, mask, tokens[0])
        masked = self.network.mlsme.frame_token(masked, ~mask, tokens[0])
        answer = self.network.decoder(masked)
        return answer.context, answer.poses


def found_in(path, module):
    """Names of the module's parameters whose values an ONNX file holds, in whatever order and under any name."""
    weights = [np.sort(onnx.numpy_helper.to_array(w), axis=None) for w in onnx.load(path).graph.initializer]
    return [
        name
        for name, parameter in module.named_parameters()
        if any(np.array_equal(np.sort(parameter.detach().numpy(), axis=None), weight) for weight in weights)
    ]


def random_operators(path):
    return [node.op_type for node in onnx.load(path).graph.node if node.op_type.startswith(("Random", "Bernoulli"))]


def test_no_trace_of_the_decoder_or_the_masks(exported, checkpoint):
    network = load_network(checkpoint)
    for name in GRAPHS:
        path = exported[0].folder / name
        assert [found_in(path, part) for part in unused(network)] == [[], [], []]
        assert random_operators(path) == []
    assert "patch_encoder.blocks.0.ffn.fc1.weight" in found_in(exported[0].folder / "temporal.onnx", network.mlsme)


def test_the_decoder_would_be_found(checkpoint, tmp_path):
    network = load_network(checkpoint)
    windows, batch = example_inputs(network)[1], {0: torch.export.Dim("batch")}
    control = trace(TrainingGraph(network).eval(), windows, (batch,), ["context", "poses"])
    control.save(str(tmp_path / "control.onnx"))
    for part in unused(network):
        assert found_in(tmp_path / "control.onnx", part) == [name for name, _ in part.named_parameters()]
    assert random_operators(tmp_path / "control.onnx")


def test_tracing_draws_no_random_numbers_of_the_callers(checkpoint):
    network = load_network(checkpoint)
    before = torch.get_rng_state()
    crops, windows = example_inputs(network)
    assert (crops.shape, windows["tokens"].shape) == ((2, 64, 48, 3), (2, 5, 12, 16))
    assert torch.equal(torch.get_rng_state(), before)


def changed(graphs, change):
    """The same ONNX programs, and torch modules that are no longer what they were traced from."""
    network = copy.deepcopy(graphs.temporal.network)
    temporal = TemporalGraph(network)
    with torch.no_grad():
        change(network, temporal)
    return dataclasses.replace(graphs, encoder=EncoderGraph(network).eval(), temporal=temporal.eval())


CHANGES = {
    "a backbone weight": (lambda network, _: network.backbone.last_norm.bias[3].add_(0.1), "heatmaps"),
    "a head's bias": (lambda network, _: network.head.final.bias[0].add_(2e-4), "heatmaps"),
    "a temporal embedding": (lambda network, _: network.embedding.time[0].add_(0.1), "heatmaps"),
    "the unit of keypoints": (lambda _, temporal: temporal.decode.units.mul_(1.01), "keypoints_px"),
    "the unit of covariances": (lambda _, temporal: temporal.decode.moments.mul_(1.05), "covariance"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_graphs_that_differ_are_refused(exported, checkpoint, graphs, tmp_path, monkeypatch, change):
    alter, told = CHANGES[change]
    monkeypatch.setattr("export.graphs.trace_graphs", lambda network: changed(graphs, alter))
    before = content(exported[0].folder)
    for out in (exported[0].folder, tmp_path / "new"):
        with pytest.raises(BundleError, match=f"differ from torch: .*{told}.*no bundle was written"):
            export_bundle(checkpoint, out, "x", windows=8)
    assert content(exported[0].folder) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("spare", "beside"), [(0, []), (-1, ["temporal.onnx.data"])])
def test_weights_go_beside_the_graph_above_the_limit(graphs, tmp_path, monkeypatch, spare, beside):
    program = graphs.programs["temporal.onnx"]
    size = sum(w.const_value.nbytes for w in program.model.graph.initializers.values())
    monkeypatch.setattr("export.graphs.INLINE_LIMIT", size + spare)
    save_graphs(dataclasses.replace(graphs, programs={"temporal.onnx": program}), tmp_path)
    assert sorted(content(tmp_path)) == ["temporal.onnx", *beside]


@pytest.mark.usefixtures("traced")
def test_a_bundle_with_weights_beside_its_graphs(exported, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("export.graphs.INLINE_LIMIT", 0)
    bundle, _ = export_bundle(checkpoint, tmp_path, "large", windows=8)
    four = sorted([*GRAPHS, *(name + ".data" for name in GRAPHS)])
    assert sorted(bundle.files) == four
    assert sorted(content(tmp_path)) == sorted([*four, "model.json"])
    for got, expected in zip(answers(bundle), answers(exported[0]), strict=True):
        np.testing.assert_array_equal(got, expected)
    data = tmp_path / "encoder.onnx.data"
    weights = bytearray(data.read_bytes())
    weights[len(weights) // 2] ^= 1
    data.write_bytes(weights)
    with pytest.raises(BundleError, match=r"encoder\.onnx\.data.*SHA-256 differs"):
        load_bundle(tmp_path)
    with pytest.raises(UsageError, match=r"encoder\.onnx is too large for --half-weights"):
        export_bundle(checkpoint, tmp_path.with_name("other"), "large", windows=8, half_weights=True)
    monkeypatch.setattr("export.graphs.INLINE_LIMIT", 2**31)
    export_bundle(checkpoint, tmp_path, "small", windows=8)  # over the broken one
    assert sorted(content(tmp_path)) == sorted([*GRAPHS, "model.json"])


def test_command_exports_a_single_frame_network(tmp_path, capfd):
    network = lively(SingleFrame(SingleFrameConfig(backbone=VIT, head_width=8)))
    measured = tmp_path / "measured.json"
    measured.write_text('{"ap": 71.3}')
    out = tmp_path / "single"
    checkpoint = save(network, tmp_path / "single.ckpt")
    assert main([str(checkpoint), "--out", str(out), "--accuracy", str(measured), "--precisions"]) == 0
    told = capfd.readouterr()
    assert told.err == ""
    assert told.out.startswith(f"wrote {out} (single, ")
    assert "joints could not be compared" in told.out
    bundle = load_bundle(out)
    assert (bundle.name, bundle.delta, bundle.accuracy) == ("single", 0, {"ap": 71.3, "validation": {}})
    engine = OnnxEngine(bundle, threads=1)
    keypoints, _ = engine.estimate([[handle] for handle in engine.encode(np.zeros((2, 64, 48, 3), np.uint8))])
    assert keypoints.shape == (2, 15, 3)


@pytest.mark.usefixtures("traced")
def test_a_default_export_loads_the_bundle_twice(checkpoint, tmp_path, monkeypatch):
    """Loading hashes every file: once when the bundle is in its place, and once more with FP16 in it."""
    loaded = []
    monkeypatch.setattr("sdtc_ros.models.bundle.check_files", lambda folder, files: loaded.append(folder))
    assert main([str(checkpoint), "--out", str(tmp_path / "out")]) == 0
    assert loaded == [tmp_path / "out"] * 2


def refused(capsys, status, *arguments):
    """The one sentence that the command ends with."""
    assert main([str(word) for word in arguments]) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("export: error: ")
    assert said.err.count("\n") == 1, said.err
    return said.err


def strangers(checkpoint, folder):
    """Files that are no checkpoint of ours, by what is wrong with them."""
    ours = torch.load(checkpoint, weights_only=True)
    config = ours[KEY]["config"]

    def entry(**values):
        return {**ours, KEY: {**ours[KEY], **values}}

    contents = {
        "tensor": torch.zeros(3),
        "list": [1, 2],
        "foreign": {"state_dict": {}},
        "weights-only": ours["state_dict"],
        "no-weights": {KEY: ours[KEY]},
        "empty-weights": {**ours, "state_dict": {}},
        "odd-weights": {**ours, "state_dict": [1]},
        "lost-weight": {**ours, "state_dict": dict(list(ours["state_dict"].items())[1:])},
        "no-entry": {**ours, KEY: None},
        "odd-entry": {**ours, KEY: "sdtc"},
        "empty-entry": {**ours, KEY: {}},
        "newer": entry(format=99),
        "no-kind": entry(kind=None),
        "odd-kind": entry(kind="hourglass"),
        "no-config": entry(config=None),
        "odd-config": entry(config={**config, "depth": 3}),
        "wrong-width": entry(config={**config, "channels": 32}),
        "wrong-type": entry(config={**config, "channels": "many"}),
        "wrong-skeleton": entry(config={**config, "skeleton": "horse"}),
        "pickled": {KEY: argparse.Namespace(format=1), "state_dict": {}},
    }
    for name, value in contents.items():
        torch.save(value, folder / f"{name}.ckpt")
    (folder / "text.ckpt").write_text("name: sdtc\nsteps: 3\n")
    (folder / "empty.ckpt").write_bytes(b"")
    (folder / "cut.ckpt").write_bytes(checkpoint.read_bytes()[:-5000])
    (folder / "folder.ckpt").mkdir()
    return [*sorted(folder.iterdir()), folder / "absent.ckpt"]


def test_strangers_are_refused(exported, checkpoint, tmp_path, capsys):
    before = content(exported[0].folder)
    folder = tmp_path / "strangers"
    folder.mkdir()
    for path in strangers(checkpoint, folder):
        assert path.name in refused(capsys, 4, path, "--out", tmp_path / "out")
        refused(capsys, 4, path, "--out", exported[0].folder)
    assert [p.name for p in tmp_path.iterdir()] == ["strangers"]
    assert content(exported[0].folder) == before


def test_an_out_that_is_a_file_is_refused(checkpoint, tmp_path, capsys):
    file = tmp_path / "bundle"
    file.write_text("mine")
    assert "bundle is a file" in refused(capsys, 2, checkpoint, "--out", file)
    assert "bundle is a file" in refused(capsys, 2, checkpoint, "--out", file / "sdtc")
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not valid JSON"), ("[1]", "JSON object"), ("3", "JSON object"),
        ('{"ap": NaN}', "NaN is not a JSON number"),
        ('{"validation": 1}', "'validation'"), ("\xff", "not valid JSON"),
        pytest.param("[" * 100_000, "not valid JSON", id="deep"),
    ],
)  # fmt: skip
def test_accuracy_that_is_none_is_refused(checkpoint, tmp_path, capsys, text, told):
    accuracy = tmp_path / "accuracy.json"
    accuracy.write_bytes(text.encode("latin-1"))
    said = refused(capsys, 2, checkpoint, "--out", tmp_path / "out", "--accuracy", accuracy)
    assert told in said
    assert "accuracy.json" in said
    assert not (tmp_path / "out").exists()


def test_accuracy_that_is_not_there_is_refused(checkpoint, tmp_path, capsys):
    for path in (tmp_path / "absent.json", tmp_path):
        said = refused(capsys, 2, checkpoint, "--out", tmp_path / "out", "--accuracy", path)
        assert f"--accuracy {path} cannot be read" in said


@pytest.mark.usefixtures("traced")
def test_the_folder_names_the_model(checkpoint, tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main([str(checkpoint), "--out", ".", "--precisions"]) == 0
    assert main([str(checkpoint), "--out", "../there", "--name", "mine", "--precisions"]) == 0
    names = [json.loads((tmp_path / folder / "model.json").read_text())["name"] for folder in ("here", "there")]
    assert names == ["here", "mine"]
    assert "wrote ../there (mine, 0.5 MB)" in capsys.readouterr().out


def test_help_waits_for_no_torch():
    code = "import sys; sys.modules['torch'] = None; from export.__main__ import main; main(['--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for word in ("CHECKPOINT", "--out FOLDER", "--accuracy JSON", "exit status", "model.json"):
        assert word in done.stdout


def test_what_is_not_installed_is_named(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("export.__main__.NEEDS", ("torch", "nothing_of_that_name"))
    said = refused(capsys, 2, checkpoint, "--out", tmp_path / "out")
    assert "export needs nothing_of_that_name: pip install" in said
