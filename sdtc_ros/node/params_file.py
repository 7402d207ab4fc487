# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a file of ROS parameters says for one node, read without ROS: a launch file must know some of it beforehand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sdtc_ros.errors import UsageError

_ANY = {"*": r"/\w+", "**": r"(/\w+)*"}  # one name, any number of names
_PARAMETERS = "ros__parameters"


def node_name(given: Mapping[str, str]) -> str:
    """The full name, '/front/sdtc_pose', that a launch file's configurations (`name`, `namespace`) give the node."""
    namespace = given.get("namespace", "")
    above = "" if namespace.startswith("/") else given.get("ros_namespace", "")
    parts = (above.strip("/"), namespace.strip("/"), given.get("name", "sdtc_pose"))
    return "/" + "/".join(part for part in parts if part)


def parameters_in(path: Path, node: str) -> dict[str, Any]:
    """The parameters that a node of this full name takes from a file; of several that are meant, the last counts.

    Raises UsageError for a file that is not there or is no YAML. What else is wrong with it, the node itself says.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"params_file '{path}' does not exist") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"params_file '{path}' cannot be read: {reason}") from error
    found: dict[str, Any] = {}
    for pattern, values in _sections(content, ""):
        if re.fullmatch(pattern, node):
            found |= values
    return found


def _sections(content: object, above: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every section's parameters, with the pattern of the nodes that it is for."""
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if key == _PARAMETERS and isinstance(value, dict):
            yield above, value
        elif key != _PARAMETERS:
            names = (name for name in str(key).split("/") if name)
            yield from _sections(value, above + "".join(_ANY.get(name, "/" + re.escape(name)) for name in names))
