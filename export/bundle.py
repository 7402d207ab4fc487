"""Checkpoint -> model bundle (design: encoder and temporal graph in ONNX beside model.json), gated by parity."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from export.graphs import write_graphs
from export.parity import Parity, measure, sample_windows
from sdtc_ros.bundle import Bundle, write_manifest
from sdtc_ros.errors import BundleError
from training.checkpoint import KEY, Network, describe, open_network
from training.models.sdtc import MEAN, STD


def export_bundle(
    checkpoint: Path, out: Path, name: str, accuracy: dict[str, Any] | None = None, windows: int = 16
) -> tuple[Bundle, Parity]:
    """Export a checkpoint of training/train.py, or published ViTPose weights, into the folder `out`.

    accuracy: what else was measured, kept in model.json beside the checkpoint's own validation.
    Everything is made beside `out` and moved there only when torch and ONNX Runtime agree (export.parity), so a bundle
    that is already there stays until a better one is complete. Raises BundleError for a checkpoint that cannot be
    used, a folder that holds something else, or graphs that differ.
    """
    network, content = open_network(checkpoint)
    if out.exists() and any(out.iterdir()) and not (out / "model.json").exists():
        raise BundleError(f"{out} is not empty and holds no bundle: choose another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        encoder, temporal = write_graphs(network, work)
        parity = measure(encoder, temporal, work, sample_windows(network, windows))
        parity.check()
        measured = {"validation": content[KEY].get("validation", {})} | (accuracy or {})
        provenance = {
            "kind": describe(network)["kind"],
            "config": describe(network)["config"],
            **{key: content[KEY][key] for key in ("published",) if key in content[KEY]},
            "epoch": content.get("epoch"),
            "steps": content.get("global_step"),
            "torch": torch.__version__,
        }
        write_manifest(
            work, name=name, skeleton=network.config.skeleton, input_size=network.config.backbone.image_size[::-1],
            delta=network.config.delta, tokens={"tokens": _token_shape(network)}, mean=MEAN, std=STD,
            training=json.loads(json.dumps(provenance)), accuracy=measured, parity=parity.to_json(),
        )  # fmt: skip
        if out.exists():
            shutil.rmtree(out)
        work.chmod(0o755)
        work.rename(out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    from sdtc_ros.bundle import load_bundle

    return load_bundle(out), parity


def _token_shape(network: Network) -> tuple[int, int]:
    rows, columns = network.config.backbone.grid
    channels = getattr(network.config, "channels", network.config.backbone.dim)
    return rows * columns, channels
