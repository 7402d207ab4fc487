# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The `module.` that torch's DataParallel puts before every name: named where it is met, taken off when asked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from sdtc_ros.errors import BundleError

WRAPPED = "module."


class WrappedError(BundleError):
    """Weights whose names DataParallel wrote: nothing else need be said of the file."""


def refuse_wrapped(names: Iterable[str], path: Path | str) -> None:
    """Raise BundleError, with what to do, where every name begins with `module.`, alone or behind `network.`."""
    names = list(names)
    if names and all(unwrapped(name) != name for name in names):
        raise WrappedError(
            f"{path}: every name begins with '{WRAPPED}', as torch's DataParallel writes them; take it off with: "
            f"python -m training.weights strip {path} --to FILE"
        )


def unwrapped(name: str) -> str:
    """A tensor's name without `module.`, at its beginning or behind Lightning's `network.`."""
    for before in ("", "network."):
        if name.startswith(before + WRAPPED):
            return before + name[len(before + WRAPPED) :]
    return name


def strip(path: Path, target: Path) -> int:
    """Write a torch file's content to `target` with unwrapped names; returns how many there were.

    Raises BundleError where the file is no torch file of plain data, has no such names, or cannot be written.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from EOFError to UnpicklingError here
        raise WrappedError(f"{path} is damaged, or holds more than plain weights") from error
    nested = isinstance(content, dict) and isinstance(content.get("state_dict"), dict)
    state = content["state_dict"] if nested else content
    if not isinstance(state, dict):
        raise WrappedError(f"{path} holds no named tensors")
    found = sum(unwrapped(str(name)) != name for name in state)
    if not found:
        raise WrappedError(f"{path}: no name begins with '{WRAPPED}'; there is nothing to take off")
    renamed = {unwrapped(str(name)): value for name, value in state.items()}
    try:
        torch.save(content | {"state_dict": renamed} if nested else renamed, target)
    except (OSError, RuntimeError) as error:
        raise WrappedError(f"{target} cannot be written: {error}") from error
    return found
