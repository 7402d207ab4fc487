# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The table of parameters as an rclpy node's: declared with type, range and description, refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from sdtc_ros.errors import UsageError
from sdtc_ros.node.parameters import PARAMETERS, Parameter

_BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}


class RosParameters:
    """The parameters of a node; `configured` says whether those that only count when configured are in use."""

    def __init__(self, node: Node, changed: Callable[[], None]) -> None:
        """Declare them all; `changed` is called (executor's thread) when a value was set.

        Raises UsageError for a parameter that was given a value it must not have.
        """
        self.configured = False
        self._node, self._changed = node, changed
        for parameter in PARAMETERS:
            self._declare(parameter)
        node.add_on_set_parameters_callback(self._check_new_values)

    def __getitem__(self, name: str) -> Any:
        """A parameter's present value."""
        value = self._node.get_parameter(name).value
        return float(value) if isinstance(_BY_NAME[name].default, float) else value

    def values(self) -> dict[str, Any]:
        """All present values by name."""
        return {parameter.name: self[parameter.name] for parameter in PARAMETERS}

    def _declare(self, parameter: Parameter) -> None:
        # first of any type, to learn what was given: rclpy takes no 1 for 1.0, and tells a wrong type in its own terms
        any_type = ParameterDescriptor(dynamic_typing=True)
        given = self._node.declare_parameter(parameter.name, parameter.default, any_type).value
        self._node.undeclare_parameter(parameter.name)
        value = parameter.accept(given)
        if isinstance(value, list):  # rclpy takes an empty list for one of bytes
            kind = RosParameter.Type.STRING_ARRAY
            self._node.declare_parameter(parameter.name, kind, _descriptor(parameter), ignore_override=True)
            self._node.set_parameters([RosParameter(parameter.name, kind, value)])
        else:
            self._node.declare_parameter(parameter.name, value, _descriptor(parameter), ignore_override=True)

    def _check_new_values(self, parameters: list[RosParameter]) -> SetParametersResult:
        """Refuse, with the reason, what a parameter must not be, or not now."""
        ours = [(new, _BY_NAME[new.name]) for new in parameters if new.name in _BY_NAME]
        for new, parameter in ours:
            try:
                parameter.accept(new.value)
            except UsageError as error:
                return SetParametersResult(successful=False, reason=str(error))
            if self.configured and not parameter.dynamic and not parameter.read_only:
                reason = f"'{new.name}' is read when the node is configured: deactivate it and clean it up first"
                return SetParametersResult(successful=False, reason=reason)
        if (
            ours and self._node.executor is not None
        ):  # when this is over and the values are set; Humble has no callback for that
            self._node.executor.create_task(self._changed)
        return SetParametersResult(successful=True)


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    """What `ros2 param describe` shows."""
    choices = f"one of {', '.join(map(str, parameter.choices))}; " if parameter.choices else ""
    descriptor = ParameterDescriptor(
        description=parameter.description,
        additional_constraints=f"{choices}takes effect {parameter.when}",
        read_only=parameter.read_only,
        dynamic_typing=isinstance(parameter.default, float),  # `ros2 param set ... max_age 1` sends a whole number
    )
    if parameter.low is not None and parameter.high is not None:
        if isinstance(parameter.default, float):
            limits = FloatingPointRange(from_value=float(parameter.low), to_value=float(parameter.high))
            descriptor.floating_point_range = [limits]
        else:
            descriptor.integer_range = [IntegerRange(from_value=int(parameter.low), to_value=int(parameter.high))]
    return descriptor
