# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Every row of the papers' ablation tables computes what its name says: checked against the formulas written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

from training.checkpoint import config_from_dict
from training.models.sdtc import SDTC, SDTCConfig
from training.models.tde import SpatialModulation
from training.models.tdmi import TDMI, TDMIConfig
from training.module import SDTCTraining
from training.tables.ablate import CONFIGS, read_table

pytestmark = pytest.mark.slow

MODEL = "model.init_args."


def row_settings(table_name: str, row_name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The model's arguments of a row, and its config apart; the row is found by the start of its name."""
    table = read_table(table_name)
    row = next(row for row in table.rows if row.name.startswith(row_name))
    arguments = yaml.safe_load((CONFIGS / (row.config or table.config)).read_text())["model"]["init_args"]
    for key, value in (table.options | row.options).items():
        if key.startswith(MODEL):
            place = arguments
            *parents, last = key.removeprefix(MODEL).split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
    config = arguments.pop("config")
    config["backbone"] |= {"depth": 1} if "depth" in config["backbone"] else {"image_size": [64, 64]}  # in no time
    return arguments, config


def sdtc_row(table: str, row: str) -> SDTC:
    torch.manual_seed(0)
    network = SDTC(config_from_dict(SDTCConfig, row_settings(table, row)[1])).eval()
    randomise(network)
    return network


def tdmi_row(table: str, row: str) -> TDMI:
    torch.manual_seed(0)
    network = TDMI(config_from_dict(TDMIConfig, row_settings(table, row)[1])).eval()
    randomise(network)
    return network


def randomise(network: nn.Module) -> None:
    """No norm is left at its start, where leaving it out would not show."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)


def crops(config: SDTCConfig | TDMIConfig) -> Tensor:
    height, width = config.backbone.image_size
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (2, config.frames, height, width, 3), dtype=torch.uint8, generator=generator)


# --- the formulas -------------------------------------------------------------------------------------------------


def conv_bn_relu(layer: nn.Sequential, x: Tensor) -> Tensor:
    """Conv -> BN -> ReLU, 3 x 3."""
    conv, norm = layer[0], layer[1]
    assert conv.kernel_size == (3, 3)
    y = F.conv2d(x, conv.weight, padding=1)
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return F.relu((y - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None])


def aggregated(layer: nn.Module, sequence: Tensor, grid: tuple[int, int]) -> Tensor:
    """R-bar of a feature sequence B x T x L x C: frames concatenated in the channels, one 1 x 1 convolution."""
    stacked = torch.cat(list(sequence.unbind(1)), dim=2)  # B x L x TC
    return (stacked @ layer.conv.weight[:, :, 0, 0].T + layer.conv.bias).transpose(1, 2).unflatten(2, grid)


def refined(layer: nn.Module, x: Tensor) -> Tensor:
    """Equations 6-8 as printed, sample by sample."""
    out = []
    for r in x.flatten(2):
        o = torch.softmax(r, dim=0)
        oc = r @ o.T
        out.append((torch.softmax(r.T @ oc, dim=1) @ oc.T).T)
    return layer.conv(torch.stack(out).unflatten(2, x.shape[2:]))


def smca(layer: nn.Module, source: Tensor, guidance: Tensor) -> Tensor:
    """Equation 9."""
    q, k, v = (
        torch.einsum("oc,bchw->bhwo", conv.weight[:, :, 0, 0], x).flatten(1, 2) + conv.bias
        for conv, x in ((layer.query, source), (layer.key, guidance), (layer.value, guidance))
    )
    attention = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5, dim=2) @ v
    return conv_bn_relu(layer.phi, source + attention.transpose(1, 2).reshape(source.shape))


def adaptive(layer: nn.Module, s: Tensor, m: Tensor) -> Tensor:
    """Equations 11-13."""
    a = conv_bn_relu(layer.mix, torch.cat([s, m], dim=1))
    return torch.sigmoid(layer.fc_spatial(a)) * layer.conv_spatial(s) + torch.sigmoid(layer.fc_motion(a)) * (
        layer.conv_motion(m)
    )


@torch.no_grad()
def streams(network: SDTC) -> tuple[Tensor, Tensor, Tensor]:
    """R-bar, M-bar by the formulas, and F as the network has it."""
    windows, found = crops(network.config), {}
    network.smml.register_forward_hook(lambda module, inputs, out: found.update(inputs=inputs, fused=out))
    network(windows)
    r, m = found["inputs"]
    tokens = network.projection(network.features(windows.flatten(0, 1))).unflatten(0, windows.shape[:2])
    assert torch.allclose(r, tokens + network.embedding(), atol=1e-5)
    if network.flow is not None:
        assert torch.allclose(m, network.flow(windows) + network.embedding(), atol=1e-5)
    else:
        patch = network.mlsme.patch_encoder(r)
        assert torch.allclose(m, patch + network.mlsme.frame_encoder(patch), atol=1e-5)  # (5)
    grid = network.config.backbone.grid
    return (
        aggregated(network.smml.aggregate_spatial, r, grid), aggregated(network.smml.aggregate_motion, m, grid),
        found["fused"],
    )  # fmt: skip


# --- SDTC ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize(
    ("row", "flow", "add"),
    [("(a)", True, True), ("(b)", True, False), ("(c)", False, True), ("(d)", False, False)],
)
def test_table_4_baselines_add_or_convolve_and_nothing_else(row, flow, add):
    network = sdtc_row("sdtc-4", row)
    assert (network.flow is not None) is flow
    r, m, fused = streams(network)
    expected = r + m if add else conv_bn_relu(network.smml.fusion.mix, torch.cat([r, m], dim=1))
    assert torch.allclose(fused, expected, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(
    ("table", "row"), [("sdtc-4", "SDTC"), ("sdtc-6", "(a)"), ("sdtc-6", "(b)"), ("sdtc-6", "SDTC")]
)
def test_table_4_and_6_rows_are_the_equations_as_printed(table, row):
    network = sdtc_row(table, row)
    smml = network.smml
    r, m, fused = streams(network)
    r, m = refined(smml.refine_spatial, r), refined(smml.refine_motion, m)
    if row != "(a)":
        r, m = smca(smml.to_spatial, r, m), smca(smml.to_motion, m, r)
    expected = adaptive(smml.fusion, r, m) if row == "SDTC" else r + m
    assert torch.allclose(fused, expected, atol=1e-4)
    parts = {name.split(".")[0] for name, _ in smml.named_parameters()}
    assert ("to_spatial" in parts, "fusion" in parts) == (row != "(a)", row == "SDTC")  # nothing that is not read


@torch.no_grad()
@pytest.mark.parametrize("table", ["sdtc-4", "sdtc-6"])
def test_the_residual_is_a_row_of_its_own(table):
    network = sdtc_row(table, "SDTC with our residual")
    smml = network.smml
    r, m, fused = streams(network)
    s, t = r + refined(smml.refine_spatial, r), m + refined(smml.refine_motion, m)
    s, t = smca(smml.to_spatial, s, t), smca(smml.to_motion, t, s)
    assert torch.allclose(fused, adaptive(smml.fusion, s, t) + r + m, atol=1e-4)
    others = [row.name for row in read_table(table).rows if not row.name.startswith("SDTC with")]
    assert all(row_settings(table, name)[1]["smml"]["residual"] is False for name in others)


@pytest.mark.parametrize(
    ("row", "ratio", "frame_level"),
    [("(a)", 0.0, False), ("(b)", 0.5, False), ("SDTC", 0.5, True), ("(c)", 0.25, True), ("(d)", 0.75, True)],
)
def test_table_5_masks_so_many_tubes_and_frames_and_encodes_at_so_many_levels(row, ratio, frame_level):
    network = sdtc_row("sdtc-5", row)
    mlsme, config = network.mlsme, network.config
    places, frames = config.backbone.grid[0] * config.backbone.grid[1], config.frames
    embedded, position = torch.randn(6, frames, places, config.channels), torch.randn(frames, places, config.channels)
    with torch.no_grad():
        patch = mlsme.patch_encoder(embedded)
        expected = patch + mlsme.frame_encoder(patch) if frame_level else patch
        assert torch.allclose(mlsme.eval()(embedded, position).motion, expected, atol=1e-5)  # no masks at inference
    blocks = [type(block).__name__ for block in mlsme.patch_encoder.blocks]
    assert blocks == (["JointAttention"] * 2 if row == "(a)" else ["JointAttention", "DividedAttention"])
    assert hasattr(network, "decoder") is (ratio > 0)
    masked = mlsme.train()(embedded, position).masked
    if ratio == 0:
        assert masked is None
        return
    per_frame = masked[..., 0].sum(dim=2)
    tubes, whole = int(ratio * places + 0.5), int(ratio * frames + 0.5) if frame_level else frames
    assert (
        per_frame.sort(dim=1).values == torch.tensor([0] * (frames - whole) + [tubes] * whole)
    ).all()  # every sample


@pytest.mark.parametrize(
    ("row", "spatial", "temporal"), [("(a)", False, False), ("(b)", True, False), ("SDTC", True, True)]
)
def test_table_7_adds_the_place_the_time_or_nothing(row, spatial, temporal):
    code = sdtc_row("sdtc-7", row).embedding().detach()
    assert bool((code != code[:, :1]).any()) is spatial
    assert bool((code != code[:1]).any()) is temporal
    assert bool(code.any()) is spatial or temporal


@pytest.mark.parametrize(("row", "lam"), [("lambda = 0.01", 0.01), ("lambda = 0.1", 0.1), ("lambda = 1", 1.0)])
def test_table_8_weighs_the_context(row, lam):
    arguments, config = row_settings("sdtc-8", row)
    assert arguments["lam"] == lam if lam != 0.01 else arguments.get("lam", 0.01) == 0.01
    torch.manual_seed(0)
    network = SDTC(config_from_dict(SDTCConfig, config)).train()
    windows = crops(network.config)
    points = torch.rand(*windows.shape[:2], 15, 2) * 90
    training = SDTCTraining(network.config, lam=arguments.get("lam", 0.01))
    training.network = network
    losses = training.losses({"crops": windows, "points": points, "weight": torch.ones(points.shape[:3])})
    assert losses.context > 0.1
    assert torch.isclose(losses.total, losses.heatmap + lam * losses.context + losses.pose, rtol=1e-5)


@pytest.mark.parametrize("delta", [1, 2, 3])
def test_table_9_has_so_many_frames(delta):
    network = sdtc_row("sdtc-9", f"delta = {delta}")
    assert network.smml.aggregate_spatial.conv.in_channels == (2 * delta + 1) * network.config.channels
    assert network.embedding().shape[0] == 2 * delta + 1


# --- TDMI ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
def features(network: TDMI) -> tuple[dict[int, Tensor], dict[str, Any], Tensor]:
    """The stages' features of windows, what the parts gave, and the heatmaps."""
    windows, found = crops(network.config), {}
    for name in ("tde", "enhance"):
        if hasattr(network, name):
            getattr(network, name).register_forward_hook(
                lambda module, inputs, out, name=name: found.update({name: out, f"{name} in": inputs[0]})
            )
    maps = network(windows).logits
    tokens = network.encode(windows.flatten(0, 1))
    stages = {int(name[-1]): x.unflatten(0, windows.shape[:2]) for name, x in tokens.items()}
    return stages, found, maps


def differences(stage: Tensor) -> Tensor:
    """Equation 1 for delta 2: F_t' - F_t'-1, each in its turn."""
    return torch.cat([stage[:, t] - stage[:, t - 1] for t in range(1, stage.shape[1])], dim=1)


@torch.no_grad()
@pytest.mark.parametrize("row", ["(a)", "(b)", "(c)", "(d)"])
def test_tdmi_table_6_fuses_these_stages_in_this_way(row):
    network = tdmi_row("tdmi-6", row)
    stages, found, _ = features(network)
    used = [4] if row == "(a)" else [1, 2, 3, 4]
    intra = [blocks(differences(stages[j])) for blocks, j in zip(network.tde.intra, used, strict=True)]  # (2)
    assert [len(blocks) for blocks in network.tde.intra] == [{1: 3, 2: 3, 3: 2, 4: 2}[j] for j in used]
    if row == "(d)":
        assert all(isinstance(layer, SpatialModulation) for layer in network.tde.modulate)
        intra = [layer(d) for layer, d in zip(network.tde.modulate, intra, strict=True)]  # (3), (4)
    if row == "(b)":
        expected = conv_bn_relu(network.tde.inter[0], torch.cat(intra, dim=1))
    else:
        expected = conv_bn_relu(network.tde.inter[0], intra[0])
        for conv, d in zip(network.tde.inter[1:], intra[1:], strict=True):
            expected = conv_bn_relu(conv, expected + d)  # (5)
    assert torch.allclose(found["tde"], expected, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(
    ("table", "row", "parted", "terms"),
    [
        ("tdmi-5", "(a)", "none", 0), ("tdmi-5", "(b)", "attention", 4), ("tdmi-7", "without", "none", 0),
        ("tdmi-7", "(a)", "attention", 0), ("tdmi-7", "(b)", "attention", 4), ("tdmi-7", "(c)", "split", 4),
    ],
)  # fmt: skip
def test_tdmi_tables_5_and_7_part_the_motion_so(table, row, parted, terms):
    network = tdmi_row(table, row)
    stages, found, maps = features(network)
    motion = found["tde"]
    if parted == "attention":
        mlp = network.rdm.useful_gate.mlp
        pooled = motion.mean(dim=(2, 3))
        hidden = F.relu(pooled @ mlp[0].weight.T + mlp[0].bias)
        motion = motion * torch.sigmoid(hidden @ mlp[2].weight.T + mlp[2].bias)[:, :, None, None]  # (6)
    elif parted == "split":
        motion = motion[:, : motion.shape[1] // 2]
    visual = stages[4][:, network.config.delta]
    assert torch.allclose(found["enhance in"], torch.cat([motion, visual], dim=1), atol=1e-5)
    assert torch.allclose(maps, network.head(found["enhance"]), atol=1e-5)
    assert len(network.config.information.terms) == terms
    assert (network.information is not None) is (terms > 0)


@torch.no_grad()
def test_tdmi_table_5_hrnet_is_the_backbone_and_a_head_trained_whole():
    network = tdmi_row("tdmi-5", "HRNet")
    stages, _, maps = features(network)
    assert stages[4].shape[1] == 1
    assert torch.allclose(maps, network.head(stages[4][:, 0]), atol=1e-5)
    assert all(parameter.requires_grad for parameter in network.parameters())


@torch.no_grad()
def test_tdmi_table_5_flow_takes_the_differences_place():
    network = tdmi_row("tdmi-5", "Op-Flow")
    windows = crops(network.config)
    _, found, _ = features(network)
    maps = network.flow(windows).transpose(2, 3).unflatten(3, network.config.heatmap_size).flatten(1, 2)
    width = network.rdm.useful_channels
    assert torch.allclose(found["enhance in"][:, :width], network.flow_blocks(maps), atol=1e-4)
    assert not hasattr(network, "tde")
