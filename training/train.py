# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Train a network: `python training/train.py fit --config training/configs/sdtc-tiny.yaml`.

Lightning's command line: every field of every config is an option (`--model.config.delta 1`, `--trainer.max_steps
2000`), `--print_config` shows them all, `--ckpt_path last` goes on where a run was stopped. Without arguments the
project's tiny SDTC is trained on the demo's clip, its backbone first (two runs, within an hour on two cores).

A run's folder holds config.yaml, checkpoints/ (last.ckpt and the best by validation PCKh), metrics.csv, curves.png and
TensorBoard events.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python training/train.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

import lightning  # noqa: E402
import torch  # noqa: E402
from lightning.pytorch.callbacks import Callback, ModelCheckpoint  # noqa: E402
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI  # noqa: E402
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger  # noqa: E402

from sdtc_ros.errors import SdtcError, UsageError  # noqa: E402
from training.callbacks import (  # noqa: E402
    Curves,
    LastCheckpoint,
    Waiting,
    keep_earlier_log,
)
from training.checkpoint import load_weights  # noqa: E402
from training.module import PoseTraining  # noqa: E402

DEFAULT_RUNS = ("backbone-tiny.yaml", "sdtc-tiny.yaml")
LIGHTNINGS_OWN = ("last", "best", "hpc")  # checkpoints that are found by Lightning


class Command(LightningCLI):
    """Lightning's command line with what its defaults lack."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """The run's folder; what two parts must agree on is set once: the seed, and the network's window and crop."""
        parser.add_argument("--run", type=str, default="runs/run", help="the run's folder: logs, curves, checkpoints")
        parser.link_arguments("seed_everything", "data.init_args.config.seed", compute_fn=int)
        network, data = "model.init_args.config", "data.init_args.config"
        parser.link_arguments(network, f"{data}.delta", compute_fn=lambda config: getattr(config, "delta", 0))
        parser.link_arguments(network, f"{data}.size", compute_fn=lambda config: config.backbone.image_size[::-1])

    def instantiate_trainer(self, **kwargs: Any) -> lightning.Trainer:
        """With the loggers and checkpoints of the run's folder, beside the config's own callbacks."""
        run = Path(self._get(self.config_init, "run"))
        loggers = [log(str(run.parent), name=run.name, version="") for log in (CSVLogger, TensorBoardLogger)]
        given = self._get(self.config_init, "trainer", default={}).get("callbacks") or []
        best = ModelCheckpoint(
            run / "checkpoints", "best", monitor="val/pckh_all", mode="max", enable_version_counter=False
        )
        ours: list[Callback] = [best, LastCheckpoint(run / "checkpoints"), Curves(), Waiting()]
        return super().instantiate_trainer(**{"logger": loggers, "callbacks": [*given, *ours]} | kwargs)

    def instantiate_classes(self) -> None:
        """Say in its own words what a part of ours refuses: the parser wraps it into a page with the whole config."""
        try:
            super().instantiate_classes()
        except ValueError as error:
            reason = error.__cause__ or error
            if isinstance(reason, SdtcError):
                raise reason from None
            words = (str(reason) or type(reason).__name__).splitlines()[0]
            raise UsageError(f"these options conflict: {words}") from error

    def before_fit(self) -> None:
        """Check what is to be resumed, and keep an earlier log, which Lightning's logger deletes on opening."""
        self._check_checkpoint("fit")
        for logger in self.trainer.loggers:
            if isinstance(logger, CSVLogger):
                keep_earlier_log(Path(logger.log_dir))

    def before_validate(self) -> None:
        """Check what is to be validated."""
        self._check_checkpoint("validate")

    def _check_checkpoint(self, subcommand: str) -> None:
        """Load checkpoints as weights only; BundleError for a file that is none of this network's."""
        settings = self.config_init[subcommand]
        settings["weights_only"] = True
        if settings["ckpt_path"] not in (None, *LIGHTNINGS_OWN):
            load_weights(self.model.network, settings["ckpt_path"])


def build(arguments: list[str], run: bool = False) -> Command:
    """Model, data and trainer of a command line; with `run` its first word is the subcommand, which is then done."""
    warnings.filterwarnings("ignore", message="LightningCLI's args parameter")  # it takes sys.argv for the user's
    return Command(
        PoseTraining, lightning.LightningDataModule, subclass_mode_model=True, subclass_mode_data=True,
        seed_everything_default=0, args=arguments, run=run, save_config_kwargs={"overwrite": True},
    )  # fmt: skip


def train(arguments: list[str]) -> None:
    """One run of Lightning's command line."""
    torch.set_float32_matmul_precision("medium")  # doubles the speed on CPUs, differences of 2e-6
    build(arguments, run=True)


def main(arguments: list[str]) -> int:
    """Run the given command, or the default runs one after the other; returns the exit status."""
    runs = [arguments] if arguments else [["fit", "--config", str(ROOT / "training/configs" / c)] for c in DEFAULT_RUNS]
    try:
        for run in runs:
            train(run)
    except SdtcError as error:
        print(f"train.py: error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
