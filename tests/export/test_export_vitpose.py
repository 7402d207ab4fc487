# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Published ViTPose weights alone become a bundle that runs, equal to Hugging Face's model of the same weights."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from graph_rules import check_bundle

from export.__main__ import main
from sdtc_ros.crops import crop_boxes, crop_images, to_image
from sdtc_ros.models.bundle import load_bundle
from sdtc_ros.pipeline.pipeline import Pipeline
from sdtc_ros.types import Boxes, Frame

pytestmark = pytest.mark.slow

WIDTH, HEIGHT = 48, 64  # of the crops
CELLS = (12, 16)  # columns and rows of the heatmaps


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    transformers = pytest.importorskip("transformers", reason="Hugging Face's transformers is the oracle here")
    backbone = transformers.VitPoseBackboneConfig(
        image_size=[HEIGHT, WIDTH], hidden_size=24, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=2,
        layer_norm_eps=1e-6, out_indices=[2],
    )  # fmt: skip
    config = transformers.VitPoseConfig(backbone_config=backbone, use_simple_decoder=True, num_labels=17)
    model = transformers.VitPoseForPoseEstimation(config).eval()
    for parameter in model.parameters():
        parameter.data.normal_(std=0.1)
    return model


@pytest.fixture(scope="module")
def bundle(model, tmp_path_factory) -> Path:
    weights, out = (tmp_path_factory.mktemp(name) for name in ("weights", "bundle"))
    model.save_pretrained(weights)
    assert main([str(weights), "--out", str(out), "--name", "vitpose-tiny", "--precisions"]) == 0
    return out


def scene() -> tuple[Frame, Boxes]:
    """A smooth random picture and two boxes on it."""
    noise = np.random.default_rng(1).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    image = cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC)
    boxes = np.array([[40, 30, 60, 120], [180, 60, 90, 150]], np.float32)
    return Frame(image, 0), Boxes(boxes, np.ones(2, np.float32))


@torch.no_grad()
def hugging_face_heatmaps(model, crops: np.ndarray) -> np.ndarray:
    """What the model itself makes of BGR crops, normalised as its image processor does it."""
    rgb = torch.from_numpy(crops[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return model((rgb - mean.view(3, 1, 1)) / std.view(3, 1, 1)).heatmaps.numpy()


def test_the_bundle_says_where_it_is_from(bundle: Path) -> None:
    loaded = load_bundle(bundle)
    assert (loaded.name, loaded.delta, loaded.input_size) == ("vitpose-tiny", 0, (WIDTH, HEIGHT))
    assert len(loaded.skeleton) == 17
    assert loaded.training["published"]["format"] == "huggingface"


def test_heatmaps_are_hugging_face_s(bundle: Path, model) -> None:
    frame, boxes = scene()
    crops = crop_images(frame.image, crop_boxes(boxes.xywh, WIDTH / HEIGHT), (WIDTH, HEIGHT))
    expected = hugging_face_heatmaps(model, crops)
    encoder, temporal = (onnxruntime.InferenceSession(bundle / name) for name in ("encoder.onnx", "temporal.onnx"))
    (tokens,) = encoder.run(["tokens"], {"crops": crops})
    (heatmaps,) = temporal.run(["heatmaps"], {"tokens": tokens[:, None]})
    np.testing.assert_allclose(heatmaps, expected, atol=1e-4)
    assert np.array_equal(heatmaps.reshape(2, 17, -1).argmax(2), expected.reshape(2, 17, -1).argmax(2))


def test_graphs_parse_in_tensorrt_and_have_a_typed_fp16_form(bundle: Path) -> None:
    check_bundle(bundle / "encoder.onnx", bundle / "temporal.onnx", {"Conv": 1, "MatMul": 3})


def test_the_pipeline_finds_hugging_face_s_joints(bundle: Path, model) -> None:
    frame, boxes = scene()
    answered = Pipeline.from_bundle(bundle).process(frame, boxes)
    assert answered is not None
    assert len(answered.poses) == 2
    crop = crop_boxes(boxes.xywh, WIDTH / HEIGHT)
    heatmaps = hugging_face_heatmaps(model, crop_images(frame.image, crop, (WIDTH, HEIGHT)))
    row, column = np.divmod(heatmaps.reshape(2, 17, -1).argmax(2), CELLS[0])
    units = np.array([(WIDTH - 1) / (CELLS[0] - 1), (HEIGHT - 1) / (CELLS[1] - 1)])
    peaks = to_image(np.stack([column, row], axis=-1) * units, crop, (WIDTH, HEIGHT))
    cell = to_image(np.tile(units, (2, 1, 1)), crop, (WIDTH, HEIGHT)) - to_image(
        np.zeros((2, 1, 2)), crop, (WIDTH, HEIGHT)
    )
    inside = (row > 0) & (row < CELLS[1] - 1) & (column > 0) & (column < CELLS[0] - 1)
    assert inside.sum() > 10
    for index, pose in enumerate(sorted(answered.poses, key=lambda pose: pose.box[0])):
        assert pose.keypoints.shape == (17, 3)
        away = np.abs(pose.keypoints[:, :2] - peaks[index]) / cell[index]
        assert away[inside[index]].max() <= 1 + 1e-3  # the refinement's bound, in cells
        assert away.max() <= 2 + 1e-3  # at an edge it starts from one cell further inwards
        np.testing.assert_allclose(pose.keypoints[:, 2], np.clip(heatmaps[index].max((1, 2)), 0, 1), atol=1e-4)
