"""Checkpoints: a network's kind and config travel with its weights, all as plain data, and load as weights only."""

from __future__ import annotations

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from sdtc_ros.errors import BundleError
from training.models.baselines import SingleFrame, SingleFrameConfig
from training.models.sdtc import SDTC, SDTCConfig

KEY = "sdtc_ros"  # our entry in a Lightning checkpoint
FORMAT = 1

Network = SDTC | SingleFrame
Config = SDTCConfig | SingleFrameConfig
NETWORKS: dict[str, tuple[type[Any], type[Any]]] = {
    "sdtc": (SDTC, SDTCConfig),
    "single-frame": (SingleFrame, SingleFrameConfig),
}

T = TypeVar("T")


def describe(network: Network) -> dict[str, Any]:
    """The plain-data entry that `load_network` rebuilds the network from."""
    kind = next(name for name, (cls, _) in NETWORKS.items() if type(network) is cls)
    return {"format": FORMAT, "kind": kind, "config": dataclasses.asdict(network.config)}


def config_from_dict(cls: type[T], values: dict[str, Any]) -> T:
    """Nested plain data -> nested dataclass, lists -> tuples where the field is one; TypeError for unknown keys."""
    hints = typing.get_type_hints(cls)
    given = {}
    for name, value in values.items():
        kind = hints.get(name)
        if isinstance(value, dict) and dataclasses.is_dataclass(kind):
            value = config_from_dict(typing.cast(type[Any], kind), value)
        elif isinstance(value, list) and typing.get_origin(kind) in (tuple, types.UnionType, typing.Union):
            value = tuple(value)
        given[name] = value
    return cls(**given)


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """A checkpoint file's content on the CPU, weights only; BundleError says why a file is none of ours."""
    path = Path(path)
    if not path.is_file():
        raise BundleError(f"no checkpoint at {path}: give the .ckpt file that training wrote")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from EOFError to UnpicklingError here
        reason = str(error).splitlines()[0][:120]
        raise BundleError(f"{path} is no checkpoint that loads as weights only ({reason})") from error
    if not isinstance(content, dict) or KEY not in content or "state_dict" not in content:
        raise BundleError(f"{path} is a torch file but no checkpoint of training/train.py (it has no '{KEY}' entry)")
    if content[KEY].get("format") != FORMAT:
        raise BundleError(f"{path} has checkpoint format {content[KEY].get('format')}; this version reads {FORMAT}")
    return content


def load_network(path: Path | str) -> Network:
    """Rebuild the network of a checkpoint in eval mode; raises BundleError for a file that is none."""
    content = read_checkpoint(path)
    kind, values = content[KEY]["kind"], content[KEY]["config"]
    if kind not in NETWORKS:
        raise BundleError(f"{path} holds a network of kind '{kind}'; known are {', '.join(NETWORKS)}")
    network_class, config_class = NETWORKS[kind]
    try:
        network = network_class(config_from_dict(config_class, values))
        network.load_state_dict(network_weights(content))
    except (RuntimeError, TypeError) as error:
        raise BundleError(f"{path} does not fit its own config: {str(error).splitlines()[0]}") from error
    return network.eval()


def network_weights(content: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The network's part of a Lightning state_dict, without its `network.` prefix."""
    prefix = "network."
    return {k.removeprefix(prefix): v for k, v in content["state_dict"].items() if k.startswith(prefix)}


def load_weights(network: nn.Module, path: Path | str) -> None:
    """Start from all weights of another checkpoint of the same network; BundleError where it does not fit."""
    try:
        network.load_state_dict(network_weights(read_checkpoint(path)))
    except RuntimeError as error:
        raise BundleError(f"the weights in {path} do not fit this config: {str(error).splitlines()[1]}") from error


def load_backbone(network: nn.Module, path: Path | str) -> None:
    """Take over the backbone weights of another checkpoint of ours (a single-frame network, say)."""
    weights = {
        k.removeprefix("backbone."): v
        for k, v in network_weights(read_checkpoint(path)).items()
        if k.startswith("backbone.")
    }
    backbone = typing.cast(nn.Module, network.backbone)
    try:
        backbone.load_state_dict(weights)
    except RuntimeError as error:
        raise BundleError(f"the backbone in {path} does not fit this config: {str(error).splitlines()[1]}") from error
