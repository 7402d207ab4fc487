# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Weight files of others, read as weights only: torch files (.pth) and safetensors (a file, or a folder with one).

A training checkpoint of others often holds more than weights (mmengine's log history, NumPy arrays of a data set's
colours), which the weights-only loader refuses. Here every such object becomes an inert blank while loading: nothing
of its code runs or is imported, and nothing of it is kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdtc_ros.errors import BundleError
from training.weights.prefix import refuse_wrapped

SAFETENSORS, CONFIG = "model.safetensors", "config.json"  # the files of a Hugging Face model's folder


class _Blank:
    """What any Python object in a file becomes."""

    def __new__(cls, *_: Any, **__: Any) -> _Blank:
        return super().__new__(cls)

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...


def read_weights(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All named tensors of a file on the CPU, and the config.json that lies beside safetensors ({} where none).

    A torch file's tensors are those of its `state_dict`, or of the file itself where it has none. Raises BundleError
    for a path that is missing or holds no named tensors.
    """
    path = Path(path)
    if path.is_dir():
        path = path / SAFETENSORS
        if not path.is_file():
            raise BundleError(f"{path.parent} is a folder without {SAFETENSORS}: give a weight file, or its folder")
    if not path.is_file():
        raise BundleError(f"no weights at {path}")
    if is_safetensors(path):
        tensors, config = _read_safetensors(path), _read_config(path.parent / CONFIG)
    else:
        tensors, config = _read_torch(path), {}
    if not tensors:
        raise BundleError(f"{path} contains no named tensors: it is not a weight file")
    refuse_wrapped(tensors, path)
    return tensors, config


def is_safetensors(path: Path | str) -> bool:
    """Whether a path is a folder or a safetensors file, by name or by content: nothing that torch writes."""
    path = Path(path)
    if path.is_dir() or path.suffix == ".safetensors":
        return True
    try:
        with path.open("rb") as file:
            return file.read(9)[8:] == b"{"  # eight bytes of length, then JSON
    except OSError:
        return False


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise BundleError(f"{path} is a safetensors file: pip install safetensors") from error
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path} is damaged or not a safetensors file ({str(error)[:100]})") from error


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path} cannot be read as JSON ({str(error)[:100]})") from error
    if not isinstance(config, dict):
        raise BundleError(f"{path} must hold a JSON object, not a {type(config).__name__}")
    return config


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        blanks: list[Any] = [(_Blank, name) for name in _strangers(path)]
        with torch.serialization.safe_globals(blanks):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from EOFError to UnpicklingError here
        raise BundleError(f"{path} is damaged, or neither a torch nor a safetensors file") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        return {}
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}


def _strangers(path: Path) -> list[str]:
    """What in the file is no plain weights; nothing for a torch file of before 2020, which cannot be asked."""
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except ValueError:
        return []
