"""Checkpoint -> bundle: what is written, that it agrees with torch, and what is refused."""

import argparse
import dataclasses
import math

import numpy as np
import pytest
import torch

from export.__main__ import main
from export.bundle import export_bundle
from export.graphs import TemporalGraph
from export.parity import Parity
from sdtc_ros.bundle import load_bundle
from sdtc_ros.engine.onnx import OnnxEngine
from sdtc_ros.errors import BundleError
from training.checkpoint import KEY, describe, load_network
from training.models.baselines import SingleFrame, SingleFrameConfig
from training.models.mlsme import MLSMEConfig
from training.models.sdtc import SDTC, SDTCConfig
from training.models.vit import ViTConfig

VIT = ViTConfig(image_size=(64, 48), patch=16, padding=0, dim=32, depth=1, heads=2, stem="conv")


def save(network, path):
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({KEY: describe(network), "state_dict": weights, "epoch": 0, "global_step": 7}, path)
    return path


def lively(network):
    """Norms with statistics and a head that says something, so that agreement is not trivial."""
    torch.manual_seed(3)
    network.train()
    crops = torch.randint(0, 256, (4, 2 * network.config.delta + 1, 64, 48, 3), dtype=torch.uint8)
    with torch.no_grad():
        network.head.final.weight.normal_(0, 0.2)
        network(crops)
    return network.eval()


@pytest.fixture(scope="module")
def sdtc_checkpoint(tmp_path_factory):
    config = SDTCConfig(backbone=VIT, channels=16, head_width=8, mlsme=MLSMEConfig(heads=2))
    return save(lively(SDTC(config)), tmp_path_factory.mktemp("checkpoint") / "sdtc.ckpt")


@pytest.fixture(scope="module")
def exported(sdtc_checkpoint, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundles") / "tiny"
    return export_bundle(sdtc_checkpoint, out, "tiny", {"note": "untrained"}, windows=3)


def test_bundle_says_what_it_is(exported):
    bundle, parity = exported
    loaded = load_bundle(bundle.folder)
    assert (loaded.name, loaded.delta, loaded.input_size) == ("tiny", 2, (48, 64))
    assert loaded.tokens == {"tokens": (12, 16)}
    assert loaded.training["steps"] == 7
    assert loaded.training["config"]["channels"] == 16
    assert loaded.accuracy == {"note": "untrained", "validation": {}}
    assert loaded.parity["windows"] == parity.windows == 3
    assert sorted(p.name for p in bundle.folder.iterdir()) == ["encoder.onnx", "model.json", "temporal.onnx"]


def test_engine_gives_what_torch_gives(exported, sdtc_checkpoint):
    bundle, _ = exported
    network = load_network(sdtc_checkpoint)
    random = np.random.default_rng(0)
    crops = random.integers(0, 256, (3, 5, 64, 48, 3), dtype=np.uint8)
    with torch.no_grad():
        tokens = network.encode(torch.from_numpy(crops.reshape(15, 64, 48, 3))).unflatten(0, (3, 5))
        keypoints, spread, _ = TemporalGraph(network)(tokens)
    engine = OnnxEngine(bundle)
    handles = engine.encode(crops.reshape(15, 64, 48, 3))
    got, got_spread = engine.estimate([handles[i : i + 5] for i in (0, 5, 10)])
    np.testing.assert_allclose(got, keypoints.numpy(), atol=0.05)
    np.testing.assert_allclose(got_spread, spread.numpy(), rtol=1e-2, atol=0.5)


def test_no_trace_of_the_decoder_or_the_masks(exported):
    onnx = pytest.importorskip("onnx")
    for name in ("encoder.onnx", "temporal.onnx"):
        graph = onnx.load(exported[0].folder / name).graph
        names = " ".join(tensor.name for tensor in graph.initializer)
        assert "decoder" not in names
        assert "token.token" not in names
        assert not any("Random" in node.op_type for node in graph.node)


def test_single_frame_network_exports_too(tmp_path):
    checkpoint = save(lively(SingleFrame(SingleFrameConfig(backbone=VIT, head_width=8))), tmp_path / "single.ckpt")
    bundle, _ = export_bundle(checkpoint, tmp_path / "single", "single", windows=2)
    assert bundle.delta == 0
    engine = OnnxEngine(bundle)
    keypoints, _ = engine.estimate([[handle] for handle in engine.encode(np.zeros((2, 64, 48, 3), np.uint8))])
    assert keypoints.shape == (2, 15, 3)


def test_parity_failure_writes_nothing(sdtc_checkpoint, tmp_path, monkeypatch):
    bad = Parity(windows=1, tokens=0.0, heatmaps=0.0, keypoints_px=0.06, scores=0.0, undecided=0)
    monkeypatch.setattr("export.bundle.measure", lambda *args: bad)
    with pytest.raises(BundleError, match="0.06 px"):
        export_bundle(sdtc_checkpoint, tmp_path / "out", "x", windows=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change", [{"keypoints_px": 0.051}, {"heatmaps": 1.1e-4}, {"keypoints_px": math.nan}, {"heatmaps": math.nan}]
)
def test_parity_bounds(change):
    good = Parity(windows=1, tokens=0.0, heatmaps=1e-5, keypoints_px=0.01, scores=0.0, undecided=0)
    good.check()
    with pytest.raises(BundleError):
        dataclasses.replace(good, **change).check()


def test_an_existing_bundle_survives_a_failed_export(exported, tmp_path, capsys):
    out = exported[0].folder
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(b"nothing of ours")
    assert main([str(broken), "--out", str(out)]) == 4
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    message = capsys.readouterr().err
    assert message.startswith("export: error: ")
    assert message.count("\n") == 1


def test_checkpoints_that_are_none(tmp_path, sdtc_checkpoint, capsys):
    foreign = tmp_path / "foreign.ckpt"
    torch.save({"state_dict": {}}, foreign)
    wrong = tmp_path / "wrong.ckpt"
    content = torch.load(sdtc_checkpoint, weights_only=True)
    content[KEY]["config"]["channels"] = 32
    torch.save(content, wrong)
    newer = tmp_path / "newer.ckpt"
    torch.save({KEY: {"format": 99}, "state_dict": {}}, newer)
    pickled = tmp_path / "pickled.ckpt"
    torch.save({KEY: argparse.Namespace(format=1), "state_dict": {}}, pickled)
    for path in (tmp_path / "absent.ckpt", foreign, wrong, newer, pickled):
        assert main([str(path), "--out", str(tmp_path / "out")]) == 4, path
        message = capsys.readouterr().err
        assert message.count("\n") == 1, message
        assert path.name in message
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(sdtc_checkpoint, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="holds no bundle"):
        export_bundle(sdtc_checkpoint, tmp_path, "x", windows=1)
    assert (tmp_path / "notes.txt").read_text() == "mine"
