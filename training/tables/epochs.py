# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What one epoch of each row of the papers' tables costs on a GPU: `python -m training.tables.epochs [--rate 50]`.

By multiply-adds, as training/cost.py counts them, at the size of the papers: rows of a table in small are counted on
the config of PoseTrack17. A training step is one pass of what is frozen and three of what trains (forward, and the
gradients of its inputs and of its weights); the motion decoder and the information objective exist in training only.
The number of windows is the papers' number of annotated people, of which the training split is the most part; seconds
are what a GPU takes that does `--rate` T multiply-adds a second and is never kept waiting for data.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import yaml
from torch import nn

from training.checkpoint import config_from_dict
from training.cost import count_macs
from training.models.hrnet import HRNet, HRNetConfig
from training.models.mutual_information import MotionFeatures
from training.models.sdtc import SDTC, SDTCConfig
from training.models.tdmi import TDMI, TDMIConfig
from training.models.vit import ViT, ViTConfig
from training.tables.ablate import CONFIGS, RowSpec, TableSpec, read_table

MODEL = "model.init_args."
PEOPLE = {"posetrack17": 80_144, "posetrack18": 153_615, "posetrack21": 177_164, "hieve": 1_099_357}
LARGE = {"sdtc-micro.yaml": "posetrack17-sdtc-b.yaml", "tdmi-tiny.yaml": "posetrack17-tdmi.yaml"}
TABLES = ("sdtc-1-3", *(f"sdtc-{n}" for n in range(4, 10)), "tdmi-1-3", "tdmi-4", *(f"tdmi-{n}" for n in range(5, 8)))


@dataclass(frozen=True)
class EpochCost:
    """A row's size: trainable parameters, multiply-adds of a window in inference and in training, windows an epoch."""

    table: str
    row: str
    paper: float | None
    trainable: int
    window_macs: int
    training_macs: int
    windows: int


def row_settings(table: TableSpec, row: RowSpec, config: str | None = None) -> dict[str, Any]:
    """The model's arguments (`init_args`) of a row as plain data, on its own config file or on `config`."""
    path = CONFIGS / (config or row.config or table.config)
    arguments: dict[str, Any] = yaml.safe_load(path.read_text())["model"]["init_args"]
    for key, value in (table.options | row.options).items():
        if key.startswith(MODEL):
            place = arguments
            *parents, last = key.removeprefix(MODEL).split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
    return arguments


def network_config(arguments: dict[str, Any], tdmi: bool) -> SDTCConfig | TDMIConfig:
    """The network of a row's settings."""
    if tdmi:
        return config_from_dict(TDMIConfig, arguments["config"])
    return config_from_dict(SDTCConfig, arguments["config"])


def epoch_costs(names: tuple[str, ...] = TABLES) -> list[EpochCost]:
    """Every row of the tables."""
    found = []
    for name in names:
        table = read_table(name)
        for row in table.rows:
            file = row.config or table.config
            file = LARGE.get(file, file)
            arguments = row_settings(table, row, file)
            config = network_config(arguments, "tdmi" in name)
            trainable, window, training = step_macs(config)
            windows = PEOPLE[file.split("-")[0]]
            found.append(EpochCost(name, row.name, row.paper, trainable, window, training, windows))
    return found


def step_macs(config: SDTCConfig | TDMIConfig) -> tuple[int, int, int]:
    """Trainable parameters, and multiply-adds of one window in inference and in a training step."""
    with torch.device("meta"):
        parts = _sdtc_parts(config) if isinstance(config, SDTCConfig) else _tdmi_parts(config)
    trainable = sum(p.numel() for module, _, _ in parts for p in module.parameters() if p.requires_grad)
    window = sum(macs for _, macs, only_training in parts if not only_training)
    training = sum(macs * (3 if any(p.requires_grad for p in m.parameters()) else 1) for m, macs, _ in parts)
    return trainable, window, training


@lru_cache
def _backbone_macs(config: ViTConfig | HRNetConfig) -> int:
    """Multiply-adds of one crop."""
    with torch.device("meta"):
        backbone: nn.Module = ViT(config) if isinstance(config, ViTConfig) else HRNet(config)
        return count_macs(backbone.eval(), torch.empty(1, 3, *config.image_size))


Part = tuple[nn.Module, int, bool]  # a module, its multiply-adds a window, whether it exists in training only


def _sdtc_parts(config: SDTCConfig) -> list[Part]:
    """The modules of SDTC that hold weights."""
    network = SDTC(config).eval()
    rows, columns = config.backbone.grid
    frames, channels, places = config.frames, config.channels, rows * columns
    window, position = torch.empty(1, frames, places, channels), torch.empty(frames, places, channels)
    tokens = torch.empty(1, places, config.backbone.dim)
    parts: list[Part] = [
        (network.backbone, frames * _backbone_macs(config.backbone), False),
        (network.projection, frames * count_macs(network.projection, tokens), False),
        (network.embedding, 0, False),
        (network.smml, count_macs(network.smml, window, window), False),
        (network.head, count_macs(network.head, torch.empty(1, channels, rows, columns)), False),
    ]
    if network.flow is not None:
        maps = torch.empty(frames, 2, *config.backbone.image_size)
        return [*parts, (network.flow, count_macs(network.flow.encoder, maps), False)]
    parts.append((network.mlsme, count_macs(network.mlsme, window, position), False))
    if config.mlsme.mask_ratio > 0:
        parts.append((network.decoder, count_macs(network.decoder, window), True))
    return parts


def _tdmi_parts(config: TDMIConfig) -> list[Part]:
    """The modules of TDMI that hold weights."""
    network = TDMI(config).eval()
    size, frames = config.heatmap_size, config.frames
    visual = torch.empty(1, config.backbone.width, *size)
    parts: list[Part] = [
        (network.backbone, frames * _backbone_macs(config.backbone), False),
        (network.head, count_macs(network.head, visual), False),
    ]
    if network.sequence is not None:
        stacked = torch.empty(1, frames * config.backbone.width, *size)
        parts.append((network.sequence, count_macs(network.sequence, stacked), False))
    if config.motion == "none":
        return parts
    motion = torch.empty(1, config.tde.channels, *size)
    if config.motion == "difference":
        features = dict.fromkeys(config.stages, visual.expand(frames, -1, -1, -1).unsqueeze(0))
        parts.append((network.tde, count_macs(network.tde, features), False))
    else:
        parts.append(
            (network.flow, count_macs(network.flow.encoder, torch.empty(frames, 2, *config.backbone.image_size)), False)
        )
        stacked = torch.empty(1, frames * config.backbone.width, *size)
        parts.append((network.flow_blocks, count_macs(network.flow_blocks, stacked), False))
    useful, noisy = motion[:, : network.rdm.useful_channels], motion[:, : network.rdm.noisy_channels]
    gate = count_macs(network.rdm.useful_gate, motion) if config.rdm.factorisation == "attention" else 0
    parts.append((network.rdm, gate, False))
    parts.append((network.enhance, count_macs(network.enhance, torch.cat([useful, visual], dim=1)), False))
    if network.information is not None:
        joints = len(network.skeleton)
        all_features = MotionFeatures(motion, useful, noisy if network.rdm.noisy_channels else None, visual, visual)
        inputs = all_features, torch.empty(1, joints, *size), torch.empty(1, joints)
        parts.append((network.information, count_macs(network.information, *inputs), True))
    return parts


def report(costs: list[EpochCost], rate: float) -> str:
    """A Markdown table."""
    lines = ["| table | row | paper | trainable M | window GMAC | a training step's | epoch PMAC | minutes |"]
    lines.append("|---|---|--:|--:|--:|--:|--:|--:|")
    for c in costs:
        paper = "-" if c.paper is None else f"{c.paper:.1f}"
        epoch = c.training_macs * c.windows
        lines.append(
            f"| {c.table} | {c.row} | {paper} | {c.trainable / 1e6:.2f} | {c.window_macs / 1e9:.1f} | "
            f"{c.training_macs / 1e9:.1f} | {epoch / 1e15:.1f} | {epoch / (rate * 1e12) / 60:.1f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m training.tables.epochs", description="What one epoch of each row of the papers' tables costs."
    )
    parser.add_argument("tables", nargs="*", help="tables of training/configs/tables (default: all of the papers')")
    parser.add_argument("--rate", type=float, default=50.0, help="T multiply-adds a second of the GPU (default 50)")
    args = parser.parse_args(arguments)
    print(report(epoch_costs(tuple(args.tables) or TABLES), args.rate))
    return 0


if __name__ == "__main__":
    sys.exit(main())
