# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the networks cost: trainable parameters and multiply-adds, part by part.

`python -m training.cost [--model sdtc-b] [--delta 2] [--json FILE]`. Multiply-adds are counted by torch's own counter
on a model without memory (meta device): matrix products, convolutions and attention products; norms, activations and
softmax are left out, as the papers do. A window is 2 * delta + 1 encoder passes and one temporal pass; streaming keeps
the tokens and pays one of each.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from training.models.sdtc import SDTC, SDTCConfig
from training.models.tdmi import TDMI, TDMIConfig
from training.models.vit import VIT_SIZES

MODELS: dict[str, SDTCConfig | TDMIConfig] = {
    **{f"sdtc-{size[-1]}": SDTCConfig(backbone=config) for size, config in VIT_SIZES.items()},
    "tdmi": TDMIConfig(),
    "tdmi-st": TDMIConfig(visual="sequence"),
}
BUDGET = {"trainable_params": 10.4e6, "window_macs": 95e9, "streaming_macs": 24e9}  # of sdtc-b at delta 2


@dataclasses.dataclass(frozen=True)
class Cost:
    """One part: parameters, those of them that train, and multiply-adds in a window and in a streaming step."""

    part: str
    params: int
    trainable: int
    window_macs: int
    streaming_macs: int


def count_macs(module: nn.Module, *inputs: Any) -> int:
    """Multiply-adds of one forward pass."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    return counter.get_total_flops() // 2


def costs_of(config: SDTCConfig | TDMIConfig) -> list[Cost]:
    """Cost of every part of a network."""
    return sdtc_costs(config) if isinstance(config, SDTCConfig) else tdmi_costs(config)


def sdtc_costs(config: SDTCConfig) -> list[Cost]:
    """Cost of every part of SDTC in eval mode, plus the decoder, which exists in training only (0 multiply-adds)."""
    with torch.device("meta"):
        network = SDTC(config).eval()
        height, width = config.backbone.image_size
        rows, columns = config.backbone.grid
        frames, channels = config.frames, config.channels
        image = torch.empty(1, 3, height, width)
        tokens = torch.empty(1, rows * columns, config.backbone.dim)
        window = torch.empty(1, frames, rows * columns, channels)
        position = torch.empty(frames, rows * columns, channels)
        feature = torch.empty(1, channels, rows, columns)
        macs = {
            "backbone": (count_macs(network.backbone, image), True),
            "projection": (count_macs(network.projection, tokens), True),
            "embedding": (0, False),
            "mlsme": (count_macs(network.mlsme, window, position), False),
            "smml": (count_macs(network.smml, window, window), False),
            "head": (count_macs(network.head, feature), False),
            "decoder": (0, False),
        }
    return [_cost(network, part, once, frames if per_frame else 1) for part, (once, per_frame) in macs.items()]


def tdmi_costs(config: TDMIConfig) -> list[Cost]:
    """Cost of every part of TDMI or TDMI-ST in eval mode, plus what the objective trains for itself.

    Sampling at offsets is no multiply-add; the product that follows it counts.
    """
    with torch.device("meta"):
        network = TDMI(config).eval()
        (height, width), (rows, columns) = config.backbone.image_size, config.heatmap_size
        visual = torch.empty(1, config.backbone.width, rows, columns)
        window = visual.expand(config.frames, -1, -1, -1).unsqueeze(0)
        motion = torch.empty(1, config.tde.channels, rows, columns)
        useful = motion[:, : network.rdm.useful_channels]
        parts = [
            _cost(network, "backbone", count_macs(network.backbone, torch.empty(1, 3, height, width)), config.frames)
        ]
        if network.sequence is not None:
            parts.append(_cost(network, "sequence", count_macs(network.sequence, window.flatten(1, 2))))
        features = dict.fromkeys(config.stages, window)
        gate = count_macs(network.rdm.useful_gate, motion) if config.rdm.factorisation == "attention" else 0
        macs = {
            "tde": count_macs(network.tde, features),
            "rdm": gate,
            "enhance": count_macs(network.enhance, torch.cat([useful, visual], dim=1)),
            "head": count_macs(network.head, visual),
        }
        parts += [_cost(network, part, once) for part, once in macs.items()]
        return parts if network.information is None else [*parts, _cost(network, "information", 0)]


def _cost(network: nn.Module, part: str, once: int, passes: int = 1) -> Cost:
    """Of a submodule by name, which a window runs `passes` times."""
    parameters = list(network.get_submodule(part).parameters())
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    name = f"{part} (training only)" if part in ("decoder", "information") else part
    return Cost(name, sum(p.numel() for p in parameters), trainable, once * passes, once)


def totals(costs: list[Cost]) -> dict[str, int]:
    """Sums by JSON key."""
    return {
        "params": sum(c.params for c in costs),
        "trainable_params": sum(c.trainable for c in costs),
        "window_macs": sum(c.window_macs for c in costs),
        "streaming_macs": sum(c.streaming_macs for c in costs),
    }


def table(name: str, costs: list[Cost]) -> str:
    """The parts and their sum as a Markdown table."""
    sums = totals(costs)
    total = Cost("total", sums["params"], sums["trainable_params"], sums["window_macs"], sums["streaming_macs"])
    lines = [f"| {name} | params M | trainable M | window GMAC | streaming GMAC |", "|---|--:|--:|--:|--:|"]
    for c in [*costs, total]:
        millions = f"{c.params / 1e6:.2f} | {c.trainable / 1e6:.2f}"
        lines.append(f"| {c.part} | {millions} | {c.window_macs / 1e9:.2f} | {c.streaming_macs / 1e9:.2f} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; with --json also write the figures."""
    parser = argparse.ArgumentParser(prog="python -m training.cost", description="What a network costs, part by part.")
    parser.add_argument("--model", choices=sorted(MODELS), default="sdtc-b")
    parser.add_argument("--delta", type=int, default=2, help="temporal span: a window has 2 * delta + 1 frames")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args(arguments)
    least = 1 if isinstance(MODELS[args.model], TDMIConfig) else 0
    if args.delta < least:
        parser.error(f"--delta must be {least} or more")
    costs = costs_of(dataclasses.replace(MODELS[args.model], delta=args.delta))
    print(table(f"{args.model}, delta {args.delta}", costs))
    if args.json:
        parts = [dataclasses.asdict(c) for c in costs]
        content = {"model": args.model, "delta": args.delta, **totals(costs), "parts": parts}
        args.json.write_text(json.dumps(content, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
