# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""HRNet: the public checkpoints' parameters by name, shape and count; the four features that TDMI reads."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from sdtc_ros.errors import BundleError
from training.checkpoint import load_backbone
from training.models.hrnet import HRNET_SIZES, HRNet, HRNetConfig
from training.weights.hrnet import read_hrnet

TINY = HRNetConfig(width=8, modules=(1, 1, 1), blocks=1, image_size=(64, 96), stem=8)


def conv_bn(conv: str, norm: str, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """A convolution without bias and its normalisation, as they stand in a state_dict."""
    rows: dict[str, tuple[int, ...]] = {f"{conv}.weight": shape, f"{norm}.num_batches_tracked": ()}
    return rows | {f"{norm}.{part}": shape[:1] for part in ("weight", "bias", "running_mean", "running_var")}


def exchange(name: str, widths: list[int], outputs: int) -> dict[str, tuple[int, ...]]:
    """One module: four basic blocks a branch, then the fusion of every branch into the first `outputs`."""
    rows: dict[str, tuple[int, ...]] = {}
    for branch, width in enumerate(widths):
        for block in range(4):
            for layer in (1, 2):
                at = f"{name}.branches.{branch}.{block}"
                rows |= conv_bn(f"{at}.conv{layer}", f"{at}.bn{layer}", (width, width, 3, 3))
    for target in range(outputs):
        for source, width in enumerate(widths):
            at = f"{name}.fuse_layers.{target}.{source}"
            if source > target:
                rows |= conv_bn(f"{at}.0", f"{at}.1", (widths[target], width, 1, 1))
            for step in range(target - source):  # stride-2 steps; the last one changes the width
                out = widths[target] if step == target - source - 1 else width
                rows |= conv_bn(f"{at}.{step}.0", f"{at}.{step}.1", (out, width, 3, 3))
    return rows


def public_state(width: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the public pose HRNet's state_dict, without its final 1x1 layer."""
    w = [width, 2 * width, 4 * width, 8 * width]
    rows = conv_bn("conv1", "bn1", (64, 3, 3, 3)) | conv_bn("conv2", "bn2", (64, 64, 3, 3))
    for block in range(4):
        at, inputs = f"layer1.{block}", 256 if block else 64
        rows |= conv_bn(f"{at}.conv1", f"{at}.bn1", (64, inputs, 1, 1))
        rows |= conv_bn(f"{at}.conv2", f"{at}.bn2", (64, 64, 3, 3))
        rows |= conv_bn(f"{at}.conv3", f"{at}.bn3", (256, 64, 1, 1))
    rows |= conv_bn("layer1.0.downsample.0", "layer1.0.downsample.1", (256, 64, 1, 1))
    rows |= conv_bn("transition1.0.0", "transition1.0.1", (w[0], 256, 3, 3))
    rows |= conv_bn("transition1.1.0.0", "transition1.1.0.1", (w[1], 256, 3, 3))
    rows |= conv_bn("transition2.2.0.0", "transition2.2.0.1", (w[2], w[1], 3, 3))
    rows |= conv_bn("transition3.3.0.0", "transition3.3.0.1", (w[3], w[2], 3, 3))
    rows |= exchange("stage2.0", w[:2], 2)
    for module in range(4):
        rows |= exchange(f"stage3.{module}", w[:3], 3)
    for module in range(3):
        rows |= exchange(f"stage4.{module}", w, 1 if module == 2 else 4)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize(("name", "width", "millions"), [("hrnet-w48", 48, 63.6), ("hrnet-w32", 32, 28.5)])
def test_parameters_are_the_public_networks(name: str, width: int, millions: float) -> None:
    network = HRNet(HRNET_SIZES[name])
    assert {key: tuple(value.shape) for key, value in network.state_dict().items()} == public_state(width)
    final_layer = 17 * width + 17
    assert round((sum(p.numel() for p in network.parameters()) + final_layer) / 1e6, 1) == millions


def test_gives_the_highest_resolution_after_each_stage() -> None:
    network = HRNet(TINY).eval()
    features = network(torch.randn(2, 3, 64, 96))
    assert [tuple(f.shape) for f in features] == [(2, 8, *TINY.feature_size)] * 4
    assert TINY.feature_size == (16, 24)


def test_every_parameter_reaches_the_last_feature_and_later_stages_leave_earlier_features() -> None:
    torch.manual_seed(0)
    network = HRNet(TINY).train()
    features = network(torch.randn(2, 3, 64, 96))
    first = torch.autograd.grad(features[0].sum(), list(network.parameters()), retain_graph=True, allow_unused=True)
    names = [name for name, _ in network.named_parameters()]
    seen = {name.split(".")[0] for name, grad in zip(names, first, strict=True) if grad is not None}
    assert seen == {"conv1", "bn1", "conv2", "bn2", "layer1", "transition1"}
    last = torch.autograd.grad((features[3] * torch.randn_like(features[3])).sum(), list(network.parameters()))
    assert all(bool(grad.abs().sum() > 0) for grad in last)


def test_image_size_must_divide_by_32() -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        HRNet(HRNetConfig(image_size=(200, 144)))


def with_backbone(config: HRNetConfig) -> nn.Module:
    """A network around an HRNet, as far as `load_backbone` looks."""
    network = nn.Module()
    network.backbone = HRNet(config)
    return network


@pytest.mark.parametrize("prefix", ["", "backbone."])
@torch.no_grad()
def test_loads_by_name_from_both_publishers(prefix: str, tmp_path: Path) -> None:
    source, network = HRNet(TINY).eval(), with_backbone(TINY).eval()
    state = {prefix + name: value for name, value in source.state_dict().items() if "num_batches" not in name}
    state[f"{prefix}incre_modules.0.0.conv1.weight"] = torch.zeros(1)  # an ImageNet checkpoint's
    state["head.final_layer.weight" if prefix else "final_layer.weight"] = torch.zeros(17, 8, 1, 1)
    path = tmp_path / "hrnet.pth"
    torch.save({"state_dict": state} if prefix else state, path)
    weights = read_hrnet(path)
    assert (weights.config(TINY.image_size), weights.joints) == (TINY, 17)
    load_backbone(network, path)
    images = torch.randn(1, 3, 64, 96)
    torch.testing.assert_close(network.backbone(images), source(images))


def test_weights_of_another_width_or_cut_short(tmp_path: Path) -> None:
    state, path = HRNet(TINY).state_dict(), tmp_path / "hrnet.pth"
    torch.save(state, path)
    network = with_backbone(dataclasses.replace(TINY, width=4))
    with pytest.raises(BundleError, match="holds HRNet of width 8 and not 4 as the config's backbone has"):
        load_backbone(network, path)
    del state["stage4.0.branches.3.0.bn2.running_var"]
    torch.save(state, path)
    with pytest.raises(BundleError, match="stage4.0.branches.3.0.bn2.running_var is missing"):
        load_backbone(with_backbone(TINY), path)
