# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The network a benchmark runs: a bundle by path, the shipped one, or a named network with random weights.

How fast a network is does not depend on its weights, so any size can be measured before it is trained.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sdtc_ros.errors import UsageError
from sdtc_ros.models.bundle import Bundle, default_bundle, load_bundle, read_manifest, save_manifest, write_manifest
from sdtc_ros.models.bundle_files import MANIFEST, graph_names

if TYPE_CHECKING:
    from training.models.sdtc import SDTCConfig

TINY = "sdtc-tiny"
NETWORKS = (TINY, "sdtc-s", "sdtc-b")
ROOT = Path(__file__).resolve().parent.parent
TINY_CONFIG = ROOT / "training" / "configs" / "sdtc-tiny.yaml"


def add_options(parser: argparse.ArgumentParser) -> None:
    """--model and --network, of which one may be given."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--model", type=Path, metavar="BUNDLE", help="model bundle (default: the shipped one)")
    which.add_argument("--network", choices=NETWORKS, help="export this network with random weights (needs torch)")


def chosen_bundle(model: Path | None, network: str | None) -> Bundle:
    """The bundle that the options name; raises BundleError for a bad one, UsageError where torch is missing."""
    if network is None and model is None and not (default_bundle() / MANIFEST).exists():
        print(f"No model is shipped in {default_bundle()}: measuring {TINY} with random weights.", file=sys.stderr)
        network = TINY
    return random_bundle(network) if network else load_bundle(model or default_bundle())


def random_bundle(name: str, delta: int | None = None) -> Bundle:
    """The bundle of a named network with random weights, exported once and kept in the temporary folder.

    delta: another than the network's own.
    """
    try:
        import torch

        from export.graphs import write_graphs
        from training.models.sdtc import MEAN, SDTC, STD
    except ImportError as error:
        raise UsageError(f"--network {name} exports it, which needs the extra [export] ({error})") from None

    config = network_config(name)
    config = config if delta is None else dataclasses.replace(config, delta=delta)
    out = Path(tempfile.gettempdir()) / f"sdtc_ros-benchmarks-{os.getuid()}" / f"{name}-{_key(config)}"
    if not (out / MANIFEST).exists():
        print(f"Exporting {name} with random weights to {out} ...", file=sys.stderr)
        out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        with warnings.catch_warnings(), _quiet_logs():
            warnings.simplefilter("ignore")  # the exporter's own, on every run
            write_graphs(SDTC(config), out)
        rows, columns = config.backbone.grid
        height, width = config.backbone.image_size
        write_manifest(
            out, name=f"{name} (random weights)", skeleton=config.skeleton, input_size=(width, height),
            delta=config.delta, tokens={"tokens": (rows * columns, config.channels)}, mean=MEAN, std=STD,
        )  # fmt: skip
    return load_bundle(out)


def with_precision(bundle: Bundle, precision: str) -> Bundle:
    """A bundle of random_bundle's with graphs in `precision` too, unjudged: random weights decide on no joint."""
    if precision in ("fp32", *bundle.precisions):
        return bundle
    from export.precisions import write_precision

    write_precision(bundle, precision)
    encoder, temporal = graph_names(precision)
    manifest = read_manifest(bundle.folder)
    entry = {"encoder": encoder, "temporal": temporal, "drift": {}}
    return save_manifest(bundle.folder, manifest, {**manifest.get("precisions", {}), precision: entry})


def network_config(name: str) -> SDTCConfig:
    """Sizes of a named network; the tiny one's are those that its training reads."""
    from training.checkpoint import config_from_dict
    from training.cost import MODELS
    from training.models.sdtc import SDTCConfig

    if name != TINY:
        config = MODELS[name]
        assert isinstance(config, SDTCConfig), "the command line offers SDTC's sizes only"
        return config
    import yaml

    content = yaml.safe_load(TINY_CONFIG.read_text(encoding="utf-8"))
    return config_from_dict(SDTCConfig, content["model"]["init_args"]["config"])


def _key(config: SDTCConfig) -> str:
    """Changes with the sizes and with the code of the networks, so that no old graph is measured for a new one."""
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(config), sort_keys=True).encode())
    for path in sorted([*ROOT.glob("training/models/*.py"), *ROOT.glob("export/*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def _quiet_logs() -> Iterator[None]:
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
