# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Reading JSON that others wrote: every surprise becomes one sentence that names the file and the place in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.sequence import Array


def load_json(path: Path) -> Any:
    """The file's content; raises InputError if it cannot be read or is not JSON (the line is named)."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path} is not valid JSON (line {error.lineno}, column {error.colno}: {error.msg}); "
            "it may be truncated; copy or write it again"
        ) from error
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read as JSON text: {error}") from error


def member(record: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """record[key], checked to be there and of that kind; `where` is the file and the place in it."""
    if not isinstance(record, dict):
        raise InputError(f"{where} must be a JSON object with '{key}', but is a {type(record).__name__}")
    if key not in record:
        raise InputError(f"{where} lacks '{key}'")
    value = record[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = " or ".join(_NAMES.get(k, k.__name__) for k in kinds)
        raise InputError(f"{where}: '{key}' must be {names}, but is {_NAMES.get(type(value), type(value).__name__)}")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise InputError(f"{where}: '{key}' is larger than any number of 64 bits")
    return value


def numbers(values: Any, count: int | None, where: str) -> Array:
    """A list of `count` (None: any number of) finite numbers as float64; raises InputError for anything else."""
    if not isinstance(values, list):
        raise InputError(f"{where} must be a list of numbers, but is {_NAMES.get(type(values), type(values).__name__)}")
    if count is not None and len(values) != count:
        raise InputError(f"{where} must hold {count} numbers, but holds {len(values)}")
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where} must be a flat list of numbers") from error
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InputError(f"{where} must be a flat list of finite numbers")
    return array


_NAMES: dict[type, str] = {
    dict: "an object", list: "a list", str: "a text", int: "a whole number", float: "a number", bool: "true or false",
    type(None): "null",
}  # fmt: skip
