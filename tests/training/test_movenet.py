# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""MoveNet: weights under our names, the original graph's numbers, crops of any shape, a sentence for other graphs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from movenet_oracle import ORACLES, PACKAGE, needs_oracles, needs_package, shipped
from tfjs_files import write_movenet

from sdtc_ros.errors import BundleError
from training.models.movenet import MOVENET_SIZES, MoveNet, MoveNetConfig
from training.weights.movenet import find_movenet, movenet_network, read_movenet
from training.weights.networks import published_backbone

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lightning() -> MoveNet:
    torch.manual_seed(0)
    return MoveNet(MoveNetConfig()).eval()


@needs_oracles
@pytest.mark.parametrize("name", list(MOVENET_SIZES))
def test_equals_the_original_graph(name: str) -> None:
    oracle = np.load(ORACLES / f"{name}.npz")
    with torch.no_grad():
        output = shipped(name)(torch.from_numpy(oracle["crops"]))
    for key in ("stride16", "stride4", "heatmap_logits", "regression"):
        ours, theirs = getattr(output, key).numpy(), oracle[key]
        assert np.linalg.norm(ours - theirs) < 1e-4 * np.linalg.norm(theirs), key
        assert np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max(), key


@needs_package
@pytest.mark.parametrize("name", list(MOVENET_SIZES))
def test_the_package_holds_what_ships(name: str) -> None:
    weights = read_movenet(PACKAGE, name)
    assert (weights.name, weights.side) == (name, {"lightning": 192, "thunder": 256}[name])
    assert all(torch.equal(weights.state[key], value) for key, value in shipped(name).state_dict().items())


def test_weights_by_name(tmp_path: Path, lightning: MoveNet) -> None:
    """Every tensor of a file written under the published names comes back in its place, to half precision."""
    weights = read_movenet(write_movenet(tmp_path, lightning))
    assert (weights.name, weights.side, weights.config) == ("lightning", 192, lightning.config)
    state = lightning.state_dict()
    assert weights.state.keys() == state.keys()
    assert all(torch.equal(weights.state[name], value.half().float()) for name, value in state.items())
    crops = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(movenet_network(weights)(crops).stride4, lightning(crops).stride4, rtol=0, atol=0.02)


@pytest.mark.parametrize("size", list(MOVENET_SIZES))
def test_shapes(size: str) -> None:
    """Crops of 3:4 as well as squares; what the widths of MobileNetV2 come to."""
    config = MOVENET_SIZES[size]
    network = MoveNet(config).eval()
    with torch.no_grad():
        output = network(torch.zeros(2, 256, 192, 3, dtype=torch.uint8))
    shapes = {name: tuple(value.shape[1:]) for name, value in output._asdict().items()}
    assert shapes == {
        "stride16": (config.token_channels, 16, 12), "stride4": (24, 64, 48), "heatmap_logits": (17, 64, 48),
        "centre": (1, 64, 48), "regression": (34, 64, 48), "offsets": (34, 64, 48),
    }  # fmt: skip
    assert config.token_channels == {"lightning": 96, "thunder": 168}[size]


def test_refuses_sides_that_are_no_multiples(lightning: MoveNet) -> None:
    with pytest.raises(ValueError, match="multiples of 32, got 200 x 256"):
        lightning(torch.zeros(1, 256, 200, 3))


def change_graph(path: Path, find: str, **attributes: object) -> None:
    """Change the attributes of the node whose name contains `find`; remove it where none are given."""
    content = json.loads(path.read_text())
    nodes = content["modelTopology"]["node"]
    node = next(node for node in nodes if find in node["name"] and node["op"] != "Const")
    if attributes:
        node["attr"] |= attributes
    else:
        nodes.remove(node)
    path.write_text(json.dumps(content))


def test_another_versions_graph(tmp_path: Path, lightning: MoveNet) -> None:
    """One sentence for a layer that is missing, that strides otherwise, that is unknown, and for no MoveNet at all."""
    path = write_movenet(tmp_path, lightning)
    whole = path.read_text()
    change_graph(path, "block_7_expand")
    with pytest.raises(BundleError, match=r"movenet-lightning.json is not MoveNet's .* it lacks blocks.7.expand.bias"):
        read_movenet(path)
    path.write_text(whole)
    change_graph(path, "block_6_depthwise", strides={"list": {"i": ["1", "1", "1", "1"]}})
    with pytest.raises(BundleError, match="blocks.6.depthwise has another stride or padding"):
        read_movenet(path)
    path.write_text(whole.replace("kpt_offset_0", "box_scale_0"))
    with pytest.raises(BundleError, match="it has box_scale_head"):
        read_movenet(path)
    path.write_text(whole.replace("/Conv1/", "/first/"))
    with pytest.raises(BundleError, match="its first convolution is neither"):
        read_movenet(path)


def test_as_a_backbone(tmp_path: Path, lightning: MoveNet) -> None:
    """Weights for a MoveNet without heads it does not need; another width is refused."""
    path = write_movenet(tmp_path, lightning)
    trunk = MoveNet(MoveNetConfig())
    del trunk.centre_head
    state = published_backbone(path, trunk)
    assert state is not None
    trunk.load_state_dict(state)
    with pytest.raises(BundleError, match=r"holds MoveNet .lightning. of width 1.0 and not 1.75"):
        published_backbone(path, MoveNet(MoveNetConfig(width=1.75)))
    assert published_backbone(tmp_path / "a.pth", trunk) is None


def test_other_paths(tmp_path: Path) -> None:
    """A folder without the model; a file that is no TensorFlow.js model is left to the other readers."""
    with pytest.raises(BundleError, match="holds no movenet-thunder.json"):
        read_movenet(tmp_path, "thunder")
    assert find_movenet(tmp_path / "weights.pth") is None
