# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""TDMI as a bundle: an encoder of several named tensors, through export, parity, the engine and the pipeline."""

import numpy as np
import pytest
import torch
from graph_rules import check_bundle

from export.bundle import export_bundle
from sdtc_ros.crops import crop_boxes, crop_images, to_image
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.errors import BundleError
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.types import Boxes, Frame
from training.checkpoint import KEY, describe, load_network
from training.models.decode import Decode
from training.models.hrnet import HRNetConfig
from training.models.tde import TDEConfig
from training.models.tdmi import TDMI, TDMIConfig

pytestmark = pytest.mark.slow

CONFIG = TDMIConfig(
    backbone=HRNetConfig(width=4, modules=(1, 1, 1), blocks=1, image_size=(64, 32), stem=8),
    delta=1,
    visual="sequence",
    tde=TDEConfig(channels=8, stages=(2, 4), offset_groups=2),
)


def save(network, path):
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save({KEY: describe(network), "state_dict": weights, "epoch": 0, "global_step": 7}, path)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(3)
    network = TDMI(CONFIG).train()
    with torch.no_grad():
        network.head.weight.normal_(0, 0.3)
        for modulation in network.tde.modulate:  # readings between the cells
            modulation.offset[1].weight.normal_(0, 0.3)
        network.backbone.train()  # norms with statistics
        network(torch.randint(0, 256, (6, 3, 64, 32, 3), dtype=torch.uint8))
    return save(network.eval(), tmp_path_factory.mktemp("checkpoint") / "tdmi.ckpt")


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory):
    return export_bundle(checkpoint, tmp_path_factory.mktemp("bundles") / "tdmi", "tdmi-micro", windows=3)


def expected(network, windows):
    """Crops N x T x H x W x 3 -> torch's keypoints."""
    with torch.no_grad():
        heatmaps = network(torch.from_numpy(windows)).heatmaps
        return Decode(CONFIG.heatmap_size, CONFIG.backbone.image_size)(heatmaps)[0].numpy()


def test_bundle_names_every_tensor_and_keeps_nothing_of_the_training(exported):
    onnx = pytest.importorskip("onnx")
    bundle, parity = exported
    assert dict(bundle.tokens) == {"stage2": (4, 16, 8), "stage4": (4, 16, 8)}
    assert (bundle.delta, bundle.input_size, bundle.training["kind"]) == (1, (32, 64), "tdmi")
    assert parity.tokens < 1e-3
    temporal = onnx.load(bundle.temporal).graph
    assert [i.name for i in temporal.input] == ["stage2", "stage4"]
    names = " ".join(tensor.name for tensor in temporal.initializer)
    assert "information" not in names and "noisy_gate" not in names
    assert sum(node.op_type == "GridSample" for node in temporal.node) == 2


def test_graphs_parse_in_tensorrt_and_have_a_typed_fp16_form(exported):
    """Where the deformable convolutions read is found in FP32, what they make of it in FP16."""
    check_bundle(exported[0].encoder, exported[0].temporal, {"Conv": 1, "MatMul": 3})


def test_engine_keeps_the_tensors_apart(exported, checkpoint):
    windows = np.random.default_rng(0).integers(0, 256, (4, 3, 64, 32, 3), dtype=np.uint8)
    engine = OnnxEngine(exported[0], max_batch=3)  # in chunks
    handles = engine.encode(windows.reshape(12, 64, 32, 3))
    assert [t.shape for t in handles[0]] == [(1, 4, 16, 8)] * 2
    keypoints, _ = engine.estimate([handles[i : i + 3] for i in range(0, 12, 3)])
    np.testing.assert_allclose(keypoints, expected(load_network(checkpoint), windows), atol=0.05)


@pytest.mark.parametrize("threshold", [0.0, 0.1])
def test_pipeline_gives_what_the_network_gives(exported, checkpoint, threshold):
    """Two people over six frames; with held crops the ring's kept tensors stand for frames encoded earlier."""
    random = np.random.default_rng(1)
    images = [random.integers(0, 256, (120, 160, 3), dtype=np.uint8) for _ in range(6)]
    start = np.array([[10.0, 20.0, 30.0, 60.0], [90.0, 30.0, 25.0, 55.0]], np.float32)
    boxes = [start + np.float32([0.4 * t, 0, 0, 0]) for t in range(6)]  # slow: the crop is held at a threshold of 0.1
    pipeline = Pipeline.from_bundle(exported[0].folder, PipelineConfig(crop_drift_threshold=threshold))
    answers = []
    for t, image in enumerate(images):
        answer = pipeline.process(Frame(image, t * 40_000_000), Boxes(boxes[t], np.ones(2, np.float32)))
        answers += [answer] if answer else []
    answers += pipeline.flush()
    network = load_network(checkpoint)
    for t, answer in enumerate(answers):
        crops = crop_boxes(boxes[0] if threshold else boxes[t], 32 / 64)
        window = [images[min(max(i, 0), 5)] for i in (t - 1, t, t + 1)]
        windows = np.stack([crop_images(image, crops, (32, 64)) for image in window], axis=1)
        wanted = to_image(expected(network, windows)[..., :2], crops, (32, 64))
        got = np.stack([pose.keypoints[:, :2] for pose in answer.poses])
        np.testing.assert_allclose(got, wanted, atol=0.1)
    assert len(answers) == 6


def test_optical_flow_cannot_be_exported_and_says_so(tmp_path):
    from dataclasses import replace

    path = save(TDMI(replace(CONFIG, motion="optical-flow")), tmp_path / "flow.ckpt")
    with pytest.raises(BundleError, match="optical flow"):
        export_bundle(path, tmp_path / "out", "flow", windows=2)
    assert not (tmp_path / "out").exists()
