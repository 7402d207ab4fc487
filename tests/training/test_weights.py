# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Published ViTPose weights in each format give Hugging Face's output, on randomly initialised models of theirs.

The official and the mmpose file are written here from Hugging Face's tensors, by tables of their own.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from training.models.vit import ViT, ViTConfig
from training.weights.networks import published_backbone, resize_positions, vitpose_network
from training.weights.vitpose import ViTPoseWeights, read_vitpose

pytestmark = pytest.mark.slow

TINY = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "image_size": [64, 48]}


def hf_model(simple: bool, joints: int = 17, **sizes):
    """A ViTPose of Hugging Face's whose every parameter and statistic is random."""
    transformers = pytest.importorskip("transformers", reason="Hugging Face's transformers is the oracle here")
    torch.manual_seed(0)
    sizes = {"layer_norm_eps": 1e-6, "mlp_ratio": 2} | TINY | sizes
    backbone = transformers.VitPoseBackboneConfig(out_indices=[sizes["num_hidden_layers"]], **sizes)
    config = transformers.VitPoseConfig(backbone_config=backbone, use_simple_decoder=simple, num_labels=joints)
    model = transformers.VitPoseForPoseEstimation(config).eval()
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            value.normal_(std=0.1 if value.dim() > 1 else 0.3)
            if name.endswith(("running_var", "norm.weight", "before.weight", "after.weight")):
                value.abs_().add_(0.5)
    return model


def official(state: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Hugging Face's tensors under the names of the authors' .pth."""
    out = {"backbone.pos_embed": state["backbone.embeddings.position_embeddings"]}
    for kind in ("weight", "bias"):
        out[f"backbone.patch_embed.proj.{kind}"] = state[f"backbone.embeddings.patch_embeddings.projection.{kind}"]
        out[f"backbone.last_norm.{kind}"] = state[f"backbone.layernorm.{kind}"]
        for i in range(depth):
            theirs, ours = f"backbone.encoder.layer.{i}", f"backbone.blocks.{i}"
            out[f"{ours}.norm1.{kind}"] = state[f"{theirs}.layernorm_before.{kind}"]
            out[f"{ours}.norm2.{kind}"] = state[f"{theirs}.layernorm_after.{kind}"]
            qkv = [state[f"{theirs}.attention.attention.{part}.{kind}"] for part in ("query", "key", "value")]
            out[f"{ours}.attn.qkv.{kind}"] = torch.cat(qkv)
            out[f"{ours}.attn.proj.{kind}"] = state[f"{theirs}.attention.output.dense.{kind}"]
            out |= {
                name.replace(theirs, ours): value for name, value in state.items() if name.startswith(f"{theirs}.mlp.")
            }
    head = {"deconv1": "deconv_layers.0", "batchnorm1": "deconv_layers.1", "deconv2": "deconv_layers.3"}
    head |= {"batchnorm2": "deconv_layers.4", "conv": "final_layer"}
    for name, value in state.items():
        if name.startswith("head."):
            _, layer, kind = name.split(".")
            out[f"keypoint_head.{head[layer]}.{kind}"] = value
    return out


def mmpose(state: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Hugging Face's tensors under the names of an mmpose 1.x checkpoint (mmpretrain's VisionTransformer)."""
    out = {}
    for name, value in official(state, depth).items():
        name = name.replace("keypoint_head.", "head.").replace("patch_embed.proj.", "patch_embed.projection.")
        name = name.replace("backbone.last_norm.", "backbone.ln1.").replace("backbone.blocks.", "backbone.layers.")
        name = name.replace(".norm1.", ".ln1.").replace(".norm2.", ".ln2.")
        name = name.replace(".mlp.fc1.", ".ffn.layers.0.0.").replace(".mlp.fc2.", ".ffn.layers.1.")
        out[name] = value
    positions = out["backbone.pos_embed"]
    out["backbone.pos_embed"] = positions[:, 1:] + positions[:, :1]  # it has no class token at all
    return out


def save(model, form: str, folder: Path) -> Path:
    """Write a model in a format; returns what a user would give."""
    depth = model.config.backbone_config.num_hidden_layers
    if form == "huggingface":
        model.save_pretrained(folder)
        return folder
    state = official(model.state_dict(), depth) if form == "official" else mmpose(model.state_dict(), depth)
    torch.save({"meta": {"epoch": 210}, "state_dict": state}, folder / "weights.pth")
    return folder / "weights.pth"


def heatmaps(weights: ViTPoseWeights, images: Tensor, heads: int) -> Tensor:
    """Backbone and head of ours on normalised images."""
    if weights.heads is None:  # a width that is none of ViTPose's: the .pth does not say
        weights = ViTPoseWeights(**(weights.__dict__ | {"heads": heads}))
    network = vitpose_network(weights)
    tokens = network.backbone(images)
    return network.head(tokens.transpose(1, 2).unflatten(2, network.config.backbone.grid))


@pytest.mark.parametrize("simple", [False, True], ids=["classic", "simple"])
@pytest.mark.parametrize("form", ["official", "huggingface", "mmpose"])
@torch.no_grad()
def test_same_heatmaps_as_hugging_face(form: str, simple: bool, tmp_path: Path) -> None:
    model = hf_model(simple)
    weights = read_vitpose(save(model, form, tmp_path))
    images = torch.randn(2, 3, 64, 48)
    expected = model(images).heatmaps
    got = heatmaps(weights, images, heads=3)
    assert expected.std() > 0.1
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    assert (weights.format, weights.head_kind, weights.joints) == (form, "simple" if simple else "classic", 17)
    assert (weights.dim, weights.depth, weights.image_size, weights.experts) == (24, 3, (64, 48), 0)


@torch.no_grad()
def test_same_heatmaps_at_the_size_of_vitpose_small(tmp_path: Path) -> None:
    sizes = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 12, "image_size": [256, 192]}
    model = hf_model(simple=False, mlp_ratio=4, layer_norm_eps=1e-12, **sizes)  # the published configs' epsilon
    model.save_pretrained(tmp_path)
    weights = read_vitpose(tmp_path / "model.safetensors")
    assert (weights.size, weights.heads) == ("vit-s", 12)
    assert weights.config == ViTConfig(dim=384, depth=12, heads=12)
    images = torch.randn(1, 3, 256, 192)
    torch.testing.assert_close(heatmaps(weights, images, 12), model(images).heatmaps, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("form", ["official", "huggingface"])
@torch.no_grad()
def test_an_expert_is_baked_into_the_last_layer(form: str, tmp_path: Path) -> None:
    model = hf_model(simple=True, num_experts=3, part_features=8)
    path, images = save(model, form, tmp_path), torch.randn(1, 3, 64, 48)
    outputs = []
    for expert in range(3):
        weights = read_vitpose(path, expert)
        outputs.append(heatmaps(weights, images, heads=3))
        expected = model(images, dataset_index=torch.tensor([expert])).heatmaps
        torch.testing.assert_close(outputs[-1], expected, atol=1e-5, rtol=1e-5)
        assert weights.experts == 3
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-2)


def test_an_expert_brings_its_own_head_where_the_file_has_it(tmp_path: Path) -> None:
    model = hf_model(simple=True, num_experts=3, part_features=8)
    state = official(model.state_dict(), 3)
    state["associate_keypoint_heads.1.final_layer.weight"] = torch.ones(14, 24, 3, 3)
    state["associate_keypoint_heads.1.final_layer.bias"] = torch.ones(14)
    torch.save({"state_dict": state}, tmp_path / "plus.pth")
    assert [read_vitpose(tmp_path / "plus.pth", expert).joints for expert in range(3)] == [17, 17, 14]


@torch.no_grad()
def test_positions_are_resized_to_another_image_size(tmp_path: Path) -> None:
    path = save(hf_model(simple=True), "official", tmp_path)
    config = ViTConfig(image_size=(96, 64), dim=24, depth=3, heads=3, mlp_ratio=2.0)
    backbone = ViT(config)
    state = published_backbone(path, backbone)
    assert state is not None
    backbone.load_state_dict(state)
    stored = read_vitpose(path).backbone["pos_embed"]
    image = stored[0].T.reshape(1, 24, 4, 3)
    expected = torch.nn.functional.interpolate(image, (6, 4), mode="bicubic", align_corners=False)
    torch.testing.assert_close(backbone.pos_embed[0].T.reshape(1, 24, 6, 4), expected)


def test_resized_positions_keep_a_plane() -> None:
    def plane(rows: int, columns: int) -> Tensor:  # the place of each cell's centre in the image, from 0 to 1
        centres = torch.meshgrid(
            (torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij"
        )
        return torch.stack(centres, dim=-1).reshape(1, -1, 2)

    resized = resize_positions(plane(16, 12), (16, 12), (32, 24)).unflatten(1, (32, 24))
    inner = slice(8, -8)  # away from the borders, which bicubic resizing bends
    expected = plane(32, 24).unflatten(1, (32, 24))[0, inner, inner]
    torch.testing.assert_close(resized[0, inner, inner], expected, atol=0.005, rtol=0)  # half a cell is 0.016


def test_a_backbone_alone_is_enough_for_a_backbone(tmp_path: Path) -> None:
    hf_model(simple=True).backbone.save_pretrained(tmp_path)
    weights = read_vitpose(tmp_path)
    assert (weights.head_kind, weights.joints, weights.dim) == (None, None, 24)
