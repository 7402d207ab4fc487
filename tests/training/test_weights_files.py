# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Weight files of others: what they may hold besides weights, and the one sentence for a file that is none of them."""

from __future__ import annotations

import dataclasses
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sdtc_ros.errors import BundleError
from training.checkpoint import KEY, describe, load_backbone, open_network
from training.models.baselines import SingleFrame, SingleFrameConfig
from training.models.vit import ViT, ViTConfig
from training.module import SingleFrameTraining
from training.weights.hrnet import read_hrnet
from training.weights.vitpose import read_vitpose

TINY = ViTConfig(image_size=(64, 48), dim=16, depth=2, heads=2)


def vitpose(joints: int = 17, simple: bool = True) -> dict[str, Tensor]:
    """A tiny ViTPose as the authors name it, a class row in its positions."""
    torch.manual_seed(0)
    state = {f"backbone.{name}": value for name, value in ViT(TINY).state_dict().items()}
    state["backbone.pos_embed"] = torch.randn(1, 13, 16)
    width = 16 if simple else 8
    if not simple:
        layers = nn.Sequential(
            nn.ConvTranspose2d(16, 8, 4, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.ConvTranspose2d(8, 8, 4, bias=False), nn.BatchNorm2d(8),
        )  # fmt: skip
        state |= {f"keypoint_head.deconv_layers.{name}": value for name, value in layers.state_dict().items()}
    kernel = 3 if simple else 1
    state["keypoint_head.final_layer.weight"] = torch.randn(joints, width, kernel, kernel)
    state["keypoint_head.final_layer.bias"] = torch.randn(joints)
    return state


def save(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


def refusal(path: Path, read=read_vitpose) -> str:
    """The sentence that a file is refused with, its path as FILE."""
    with pytest.raises(BundleError) as caught:
        read(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message.replace(str(path), "FILE")


class Malice:
    """Runs code where a file is loaded as any Python object."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (eval, (f"open({str(self.path)!r}, 'w').close()",))


def test_what_else_is_in_a_checkpoint_is_neither_kept_nor_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = type("HistoryBuffer", (), {"__module__": "mmengine.logging.history_buffer"})
    for name in ("mmengine", "mmengine.logging", "mmengine.logging.history_buffer"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["mmengine.logging.history_buffer"].HistoryBuffer = log
    buffer = log()
    buffer._log_history = np.arange(3.0)
    content = {
        "meta": {"dataset_meta": {"sigmas": np.ones(17, np.float32), "names": ["nose"]}, "seed": np.int64(1)},
        "message_hub": {"log_scalars": {"loss": buffer}},
        "hook": Malice(tmp_path / "ran"),
        "state_dict": vitpose(),
    }
    path = save(content, tmp_path / "epoch_210.pth")
    monkeypatch.undo()
    allowed = torch.serialization.get_safe_globals()
    assert read_vitpose(path).joints == 17
    assert not (tmp_path / "ran").exists()
    assert set(torch.serialization.get_safe_globals()) == set(allowed)  # nothing stays allowed afterwards


def test_system_calls_are_refused_whatever_they_are_called(tmp_path: Path) -> None:
    import os

    class System:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    path = save({"state_dict": vitpose(), "hook": System()}, tmp_path / "a.pth")
    assert refusal(path) == "FILE is damaged, or neither a torch nor a safetensors file"
    assert not (tmp_path / "ran").exists()


def test_files_of_early_torch_half_precision_and_bare_dicts(tmp_path: Path) -> None:
    whole = read_vitpose(save({"state_dict": vitpose()}, tmp_path / "a.pth"))
    torch.save(vitpose(), tmp_path / "b.pth", _use_new_zipfile_serialization=False)
    old = read_vitpose(tmp_path / "b.pth")
    half = read_vitpose(save({name: value.half() for name, value in vitpose().items()}, tmp_path / "c.pth"))
    for name, value in whole.backbone.items():
        assert torch.equal(old.backbone[name], value)
        assert half.backbone[name].dtype == torch.float32
        torch.testing.assert_close(half.backbone[name], value, atol=4e-3, rtol=1e-3)


@pytest.mark.parametrize("content", [b"", b"nothing of ours", b"\x80\x02}q\x00(X\x01", b"<html>moved</html>"])
def test_no_weights_at_all(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    assert refusal(path) == "FILE is damaged, or neither a torch nor a safetensors file"
    path = path.rename(tmp_path / "a.safetensors")
    pytest.importorskip("safetensors")
    assert refusal(path).startswith("FILE is damaged or not a safetensors file (")


def test_a_file_cut_short(tmp_path: Path) -> None:
    path = save(vitpose(), tmp_path / "a.pth")
    path.write_bytes(path.read_bytes()[:-2000])
    assert refusal(path) == "FILE is damaged, or neither a torch nor a safetensors file"


def test_missing_paths_and_folders(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.pth") == "no weights at FILE"
    assert refusal(tmp_path) == "FILE is a folder without model.safetensors: give a weight file, or its folder"
    assert refusal(save([1, 2], tmp_path / "list.pth")) == "FILE contains no named tensors: it is not a weight file"


def test_weights_of_another_network(tmp_path: Path) -> None:
    path = save({"conv1.weight": torch.zeros(3)}, tmp_path / "a.pth")
    assert refusal(path).startswith("FILE holds weights, but not of ViTPose (no patch_embed.proj.weight, ")
    assert refusal(path, read_hrnet).startswith("FILE contains weights, but not of HRNet (no stage2.0.")


def lacking(state):
    del state["backbone.blocks.1.attn.qkv.bias"]


def without_blocks(state):
    for name in [name for name in state if ".blocks." in name]:
        del state[name]


def not_vitpose(state):
    del state["backbone.last_norm.weight"], state["backbone.last_norm.bias"]


def too_wide(state):
    state["backbone.blocks.1.attn.proj.weight"] = torch.zeros(16, 17)


def odd_patch(state):
    state["backbone.patch_embed.proj.weight"] = torch.zeros(16, 1, 16, 16)


def scalar_patch(state):
    state["backbone.patch_embed.proj.weight"] = torch.tensor(1.0)


def odd_grid(state):
    state["backbone.pos_embed"] = torch.zeros(1, 11, 16)


def flat_positions(state):
    state["backbone.pos_embed"] = torch.zeros(13, 16)


MISFITS = {
    lacking: "FILE lacks blocks.1.attn.qkv.bias: it is cut short, or a ViT that is not ViTPose's",
    without_blocks: "FILE lacks blocks.0.attn.proj.bias and 11 more: it is cut short",
    not_vitpose: "FILE lacks last_norm.bias and 1 more: it is cut short, or a ViT that is not ViTPose's",
    too_wide: "FILE: blocks.1.attn.proj.weight is [16, 17], where [16, 16] fits the rest",
    odd_patch: "FILE: patch_embed.proj.weight is [16, 1, 16, 16], where [16, 3, 16, 16] fits the rest",
    scalar_patch: "FILE: patch_embed.proj.weight is [], where ",
    odd_grid: "FILE: a position embedding of 11 rows is no 4 x 3 grid",
    flat_positions: "FILE: pos_embed is [13, 16], not 1 x tokens x 16",
}


@pytest.mark.parametrize("change", MISFITS)
def test_a_vitpose_that_is_not_whole_says_what_is_wrong(change, tmp_path: Path) -> None:
    state = vitpose()
    change(state)
    assert refusal(save({"state_dict": state}, tmp_path / "a.pth")).startswith(MISFITS[change])


def test_experts_that_are_not_there(tmp_path: Path) -> None:
    path = save(vitpose(), tmp_path / "a.pth")
    assert refusal(path, lambda p: read_vitpose(p, 2)) == "FILE has no experts: there is no expert 2"
    state = vitpose()
    for i in range(2):
        for kind in ("weight", "bias"):
            fc2 = state[f"backbone.blocks.{i}.mlp.fc2.{kind}"]
            state[f"backbone.blocks.{i}.mlp.fc2.{kind}"] = fc2[:12]
            state |= {f"backbone.blocks.{i}.mlp.experts.{k}.{kind}": fc2[12:] for k in range(2)}
    path = save(state, tmp_path / "plus.pth")
    assert read_vitpose(path, 1).experts == 2
    assert refusal(path, lambda p: read_vitpose(p, 2)) == "FILE has 2 experts: there is no expert 2"


@pytest.mark.parametrize("text", ["{", "[1]", '{"backbone_config": {"image_size": "large"}}', '{"backbone_config": 7}'])
def test_a_config_beside_safetensors_that_cannot_be_used(text: str, tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    state = {name.removeprefix("backbone."): value for name, value in vitpose().items()}
    state["embeddings.patch_embeddings.projection.weight"] = state.pop("patch_embed.proj.weight")
    state["embeddings.patch_embeddings.projection.bias"] = state.pop("patch_embed.proj.bias")
    state["embeddings.position_embeddings"] = state.pop("pos_embed")
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(BundleError, match=r"config\.json"):
        read_vitpose(tmp_path)


def single_frame(**changes) -> SingleFrame:
    return SingleFrame(SingleFrameConfig(dataclasses.replace(TINY, **changes)))


def test_a_backbone_comes_from_a_published_file_or_one_of_ours(tmp_path: Path) -> None:
    path = save({"state_dict": vitpose()}, tmp_path / "vitpose.pth")
    other = single_frame()
    network = SingleFrameTraining(SingleFrameConfig(TINY), backbone_checkpoint=str(path)).network
    assert torch.equal(network.backbone.blocks[1].mlp.fc1.weight, vitpose()["backbone.blocks.1.mlp.fc1.weight"])
    rows = vitpose()["backbone.pos_embed"]
    torch.testing.assert_close(network.backbone.pos_embed.data, rows[:, 1:] + rows[:, :1])
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    load_backbone(other, save({KEY: describe(network), "state_dict": state}, tmp_path / "ours.ckpt"))
    assert torch.equal(other.backbone.pos_embed, network.backbone.pos_embed)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"depth": 3}, "holds ViTPose (ViT 16 wide, 2 deep) of depth 2 and not 3 as the config's backbone has"),
        ({"dim": 32, "patch": 8}, "of width 16 and not 32, patch 16 and not 8 as the config's"),
        ({"stem": "conv"}, "of stem patch and not conv as"),
        ({"padding": 0}, "of padding 2 and not 0 as"),
        (
            {"mlp_ratio": 2.0},
            "does not fit this config: blocks.0.mlp.fc1.weight is [64, 16], the network's is [32, 16]",
        ),
    ],
)
def test_a_published_backbone_of_another_size(changes: dict, said: str, tmp_path: Path) -> None:
    path = save(vitpose(), tmp_path / "vitpose.pth")
    network = single_frame(**changes)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert said in refusal(path, lambda p: load_backbone(network, p))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_neither_a_checkpoint_nor_published_weights(tmp_path: Path) -> None:
    for content in (b"nothing", b""):
        path = tmp_path / "a.pth"
        path.write_bytes(content)
        for read in (open_network, lambda p: load_backbone(single_frame(), p)):
            assert refusal(path, read).endswith("no file of torch's; nor does it hold published weights that are known")
    for read in (open_network, lambda p: load_backbone(single_frame(), p)):
        assert refusal(tmp_path / "absent", read) == "no checkpoint at FILE: give the .ckpt file that training wrote"
        assert "model.safetensors" in refusal(tmp_path, read)


@pytest.mark.parametrize("simple", [False, True])
@torch.no_grad()
def test_a_vitpose_file_is_a_single_frame_network(
    simple: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.weights.vitpose.VIT_SIZES", {"vit-tiny": TINY})
    path = save({"state_dict": vitpose(simple=simple)}, tmp_path / "vitpose.pth")
    network, content = open_network(path)
    assert isinstance(network, SingleFrame)
    assert not network.training
    assert network.config.backbone == TINY
    assert (network.config.skeleton, network.config.head) == ("coco", "simple" if simple else "classic")
    assert content == {KEY: {"published": {"file": "vitpose.pth", "format": "official", "size": "vit-tiny"}}}
    tokens = network.encode(torch.zeros(1, 64, 48, 3, dtype=torch.uint8))
    assert network.estimate(tokens.unsqueeze(1)).shape == (1, 17, 16, 12)


def test_a_vitpose_file_that_is_no_whole_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = refusal(save(vitpose(), tmp_path / "a.pth"), open_network)
    assert unknown.startswith("FILE does not say how many attention heads it has, and its width 16 is none of")
    monkeypatch.setattr("training.weights.vitpose.VIT_SIZES", {"vit-tiny": TINY})
    path = save(vitpose(joints=133), tmp_path / "whole-body.pth")
    assert refusal(path, open_network) == "FILE gives 133 joints; only COCO's 17 can be exported"
    headless = {name: value for name, value in vitpose().items() if name.startswith("backbone.")}
    path = save(headless, tmp_path / "headless.pth")
    assert refusal(path, open_network).startswith("FILE has a backbone but neither ViTPose's classic nor")
    uneven = vitpose(simple=False) | {"keypoint_head.deconv_layers.0.weight": torch.zeros(16, 9, 4, 4)}
    assert refusal(save(uneven, tmp_path / "uneven.pth"), open_network).startswith("the head in FILE does not fit: ")
