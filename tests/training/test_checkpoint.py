# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Checkpoints: every network comes back as it was, and a file that is none of ours gets one clear sentence."""

import argparse
import dataclasses

import pytest
import torch

from sdtc_ros.errors import BundleError
from training.checkpoint import (
    KEY,
    NETWORKS,
    config_from_dict,
    describe,
    load_backbone,
    load_network,
    load_weights,
    shrink,
)
from training.models.baselines import SingleFrame, SingleFrameConfig
from training.models.hrnet import HRNetConfig
from training.models.mlsme import MLSMEConfig
from training.models.movenet import MoveNetConfig
from training.models.movenet_pose import MoveNetPoseConfig
from training.models.sdtc import SDTC, SDTCConfig
from training.models.sdtc_movenet_config import SDTCMoveNetConfig
from training.models.tde import TDEConfig
from training.models.tdmi import TDMIConfig
from training.models.vit import ViTConfig

VIT = ViTConfig(image_size=(32, 32), patch=16, padding=0, dim=16, depth=1, heads=2, stem="conv")
CONFIGS = {
    "sdtc": SDTCConfig(
        backbone=VIT, delta=1, channels=8, head_width=4, location_sigma=1.0, mlsme=MLSMEConfig(heads=2, mask_ratio=0.25)
    ),
    "single-frame": SingleFrameConfig(backbone=VIT, skeleton="coco", head_width=4),
    "movenet": MoveNetPoseConfig(backbone=MoveNetConfig(width=0.25, image_size=(64, 32)), skeleton="posetrack"),
    "sdtc-movenet": SDTCMoveNetConfig(
        backbone=MoveNetConfig(width=0.25, image_size=(128, 64)), channels=16, head_width=8, trajectory=16
    ),
    "tdmi": TDMIConfig(
        backbone=HRNetConfig(width=4, modules=(1, 1, 1), blocks=1, image_size=(64, 32), stem=8),
        delta=1,
        visual="sequence",
        tde=TDEConfig(channels=8, offset_groups=2),
    ),
}


def network_of(kind, **changes):
    """A network whose weights and statistics are no two networks' own."""
    network = NETWORKS[kind][0](dataclasses.replace(CONFIGS[kind], **changes))
    for value in network.state_dict().values():
        value.copy_(torch.rand(value.shape) * 9)
    return network


def content_of(network):
    weights = {f"network.{name}": value.clone() for name, value in network.state_dict().items()}
    return {KEY: describe(network), "state_dict": weights | {"other.weight": torch.zeros(1)}, "global_step": 7}


def save(content, path):
    torch.save(content, path)
    return path


def refusal(path, load=load_network):
    """The sentence that a file is refused with."""
    with pytest.raises(BundleError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert "\x1b" not in message
    assert len(message) < len(str(path)) + 250
    return message.replace(str(path), "FILE")


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_there_is_a_case_for_every_kind():
    assert CONFIGS.keys() == NETWORKS.keys()


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_network_comes_back_as_it_was(kind, tmp_path):
    network = network_of(kind)
    loaded = load_network(save(content_of(network), tmp_path / "a.ckpt"))
    assert type(loaded) is type(network)
    assert loaded.config == network.config
    assert not loaded.training
    assert_same(loaded.state_dict(), network.state_dict())


@pytest.mark.parametrize("kind", CONFIGS)
def test_configs_survive_as_plain_data(kind):
    plain = describe(network_of(kind))["config"]
    as_lists = plain | {"backbone": plain["backbone"] | {"image_size": list(plain["backbone"]["image_size"])}}
    assert config_from_dict(NETWORKS[kind][1], as_lists) == CONFIGS[kind]


def test_weights_of_another_run(tmp_path):
    network, other = network_of("sdtc"), network_of("sdtc")
    load_weights(other, save(content_of(network), tmp_path / "a.ckpt"))
    assert_same(other.state_dict(), network.state_dict())


def test_backbone_of_another_kind_of_network(tmp_path):
    single, sdtc = network_of("single-frame"), network_of("sdtc")
    before = {name: value.clone() for name, value in sdtc.state_dict().items()}
    load_backbone(sdtc, save(content_of(single), tmp_path / "a.ckpt"))
    assert_same(sdtc.backbone.state_dict(), single.backbone.state_dict())
    for name, value in sdtc.state_dict().items():
        assert name.startswith("backbone.") or torch.equal(value, before[name])


FILES = {
    "empty": b"",
    "text": b"nothing of ours",
    "half a pickle": b"\x80\x02}q\x00(X\x01",
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_not_torch_s(name, tmp_path):
    path = tmp_path / "a.ckpt"
    path.write_bytes(FILES[name])
    assert refusal(path) == "FILE does not load as a checkpoint: it is empty, damaged or no file of torch's"


def test_a_checkpoint_cut_short(tmp_path):
    path = save(content_of(network_of("sdtc")), tmp_path / "a.ckpt")
    path.write_bytes(path.read_bytes()[:-1000])
    assert "damaged" in refusal(path)


def test_missing_files_and_folders(tmp_path):
    assert refusal(tmp_path / "absent.ckpt").startswith("no checkpoint at FILE: give")
    assert refusal(tmp_path).startswith("no checkpoint at FILE: give")


def test_pickled_objects_are_named_and_not_loaded(tmp_path):
    path = save({KEY: argparse.Namespace(format=1), "state_dict": {}}, tmp_path / "a.ckpt")
    message = refusal(path)
    assert "argparse.Namespace" in message
    assert "weights_only" not in message  # torch's own advice is to switch the protection off


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": {"a": torch.zeros(1)}},
        {KEY: {"format": 1}},
        [1, 2],
        torch.zeros(3),
        {KEY: "sdtc", "state_dict": {}},
        {KEY: {"format": 1}, "state_dict": torch.zeros(2)},
        {KEY: torch.zeros(2), "state_dict": {}},
    ],
)
def test_torch_files_of_something_else(content, tmp_path):
    assert "not a checkpoint of training/train.py" in refusal(save(content, tmp_path / "a.ckpt"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 99}, "has checkpoint format 99; this version reads 1"),
        ({"format": None}, "has checkpoint format None; this version reads 1"),
        ({"kind": "hourglass"}, "kind 'hourglass'; supported: sdtc, "),
        ({"kind": None}, "kind None; supported:"),
        ({"kind": ["sdtc"]}, "supported:"),
        ({"config": "sdtc-b"}, "has no config of its network ('config' is 'sdtc-b')"),
        ({"config": None}, "has no config"),
    ],
)
def test_an_entry_that_says_something_else(change, said, tmp_path):
    content = content_of(network_of("sdtc"))
    content[KEY] |= change
    assert said in refusal(save(content, tmp_path / "a.ckpt"))


def test_an_entry_that_says_nothing(tmp_path):
    for key, said in (("kind", "kind None"), ("config", "config"), ("format", "format None")):
        content = content_of(network_of("sdtc"))
        del content[KEY][key]
        assert said in refusal(save(content, tmp_path / "a.ckpt"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": "red"}, "colour"),  # TypeError
        ({"channels": 6}, "a multiple of 4 channels, got 6"),  # ValueError
        ({"mlsme": {"heads": 3}}, "8 is not a multiple of the number of heads 3"),  # ValueError, from deep inside
        ({"backbone": None}, "NoneType"),  # AttributeError
        ({"backbone": dataclasses.asdict(VIT) | {"patch": 0}}, "zero"),  # ZeroDivisionError
        ({"delta": "two"}, "int"),  # TypeError
        ({"skeleton": "octopus"}, "octopus"),  # BundleError without a path
    ],
)
def test_configs_from_which_nothing_can_be_built(change, said, tmp_path):
    content = content_of(network_of("sdtc"))
    content[KEY]["config"] |= change
    message = refusal(save(content, tmp_path / "a.ckpt"))
    start = "FILE has a config that does not build a sdtc network: "
    assert message.startswith(start)
    assert said in message.removeprefix(start)


def without(weights):
    del weights["network.head.final.bias"]


def too_many(weights):
    weights["network.head.third.bias"] = torch.zeros(2)


def too_wide(weights):
    weights["network.head.final.bias"] = torch.zeros(16)


def no_tensor(weights):
    weights["network.head.final.bias"] = 3


MISFITS = {
    without: "head.final.bias is missing",
    too_many: "head.third.bias has no place in the network",
    too_wide: "head.final.bias is [16], the network's is [15]",
    no_tensor: "head.final.bias is no tensor, the network's is [15]",
}


@pytest.mark.parametrize("change", MISFITS)
def test_weights_that_do_not_fit_say_which(change, tmp_path):
    content = content_of(network_of("sdtc"))
    change(content["state_dict"])
    path = save(content, tmp_path / "a.ckpt")
    assert refusal(path) == f"the weights in FILE do not fit their own config: {MISFITS[change]}"
    other = network_of("sdtc")
    before = {name: value.clone() for name, value in other.state_dict().items()}
    message = refusal(path, lambda p: load_weights(other, p))
    assert message == f"the weights in FILE do not fit this config: {MISFITS[change]}"
    assert_same(other.state_dict(), before)  # all or nothing


def test_many_misfits_are_counted(tmp_path):
    content = content_of(network_of("sdtc")) | {"state_dict": {}}
    count = len(network_of("sdtc").state_dict())
    message = refusal(save(content, tmp_path / "a.ckpt"))
    assert message.endswith(f" is missing (and {count - 1} more)")


def test_a_backbone_of_another_size(tmp_path):
    path = save(content_of(network_of("single-frame")), tmp_path / "a.ckpt")
    wider = network_of("sdtc", backbone=dataclasses.replace(VIT, dim=32))
    message = refusal(path, lambda p: load_backbone(wider, p))
    assert message.startswith("the backbone in FILE does not fit this config: pos_embed is [1, 4, 16], the network's ")
    deeper = SDTC(dataclasses.replace(CONFIGS["sdtc"], backbone=dataclasses.replace(VIT, depth=2)))
    assert "blocks.1.norm1.weight is missing" in refusal(path, lambda p: load_backbone(deeper, p))
    bare = save({KEY: describe(SingleFrame(CONFIGS["single-frame"])), "state_dict": {}}, tmp_path / "b.ckpt")
    assert "pos_embed is missing" in refusal(bare, lambda p: load_backbone(deeper, p))


@pytest.mark.parametrize(
    ("old", "now"),
    [
        ({}, "refinement"),  # of the time of equation 8's residual alone, which was then the default
        ({"refinement_residual": False}, False),
        ({"refinement_residual": True, "residual": False}, "refinement"),
        ({"refinement_residual": False, "residual": False}, False),
        ({"refinement_residual": True, "residual": True}, True),
        ({"residual": False}, False),
        ({"residual": True}, True),
    ],
)
def test_checkpoints_keep_the_residuals_they_were_trained_with(tmp_path, old, now):
    content = content_of(network_of("sdtc"))
    del content[KEY]["config"]["smml"]["residual"]
    content[KEY]["config"]["smml"] |= old
    assert load_network(save(content, tmp_path / "a.ckpt")).config.smml.residual == now


def test_a_residual_that_is_no_longer_built_is_told(tmp_path):
    content = content_of(network_of("sdtc"))
    content[KEY]["config"]["smml"] |= {"residual": True, "refinement_residual": False}
    assert "smml.residual without refinement_residual is no longer built" in refusal(save(content, tmp_path / "a.ckpt"))


def test_a_shrunk_checkpoint_is_half_as_large_and_loads(tmp_path):
    network = network_of("sdtc-movenet")
    whole, small = tmp_path / "whole.ckpt", tmp_path / "small.ckpt"
    torch.save(content_of(network) | {"optimizer_states": [{"state": torch.zeros(100_000)}]}, whole)
    shrink(whole, small)
    assert small.stat().st_size < 0.6 * whole.stat().st_size
    for name, value in load_network(small).state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], atol=0.0, rtol=1e-3)
    with pytest.raises(BundleError, match="cannot be written"):
        shrink(whole, tmp_path / "nowhere" / "small.ckpt")
    with pytest.raises(BundleError, match="no checkpoint"):
        shrink(tmp_path / "none.ckpt", small)
