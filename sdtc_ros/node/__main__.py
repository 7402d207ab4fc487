# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The node's process: `ros2 run sdtc_ros pose_node`, or `python -m sdtc_ros.node --ros-args ...`.

It ends at SIGINT and SIGTERM within two seconds and with status 0, else with the statuses of errors.py; what went
wrong is one sentence in the log. rclpy is imported in `node` and `tools` alone, and here after the
signal handlers are set, so that a Ctrl-C while it loads is no traceback either.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from sdtc_ros.errors import SdtcError, UsageError

if TYPE_CHECKING:
    from sdtc_ros.node.pose_node import PoseNode

STOP_SECONDS = 1.5  # of the two; whatever still runs then (an engine being built, a frame at work) is abandoned


def main() -> int:
    """Run the node until it is told to end; returns the exit status only where ROS could not even begin."""
    _on_signals(lambda: _leave(0))  # nothing is there yet that would have to be ended
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions

        import sdtc_ros.node.pose_node  # noqa: F401
    except ImportError as error:
        print(
            f"sdtc_ros: error: the node cannot run under {sys.executable}: {error}; source ROS 2's setup.bash, "
            "activate the environment in which sdtc_ros's dependencies are installed, and run python3 -m sdtc_ros.node",
            file=sys.stderr,
        )
        return UsageError.exit_status
    ended = threading.Event()
    _on_signals(ended.set)
    try:
        rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # wrong --ros-args, a parameter file that is missing or no YAML
        return _refused(error)
    try:
        status = _run(ended)
    finally:
        rclpy.try_shutdown()
    _leave(status)


def _on_signals(act: Callable[[], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: act())


def _run(ended: threading.Event) -> int:
    """Make the node and serve it in a thread: the main thread stays free for signals."""
    from rclpy.executors import SingleThreadedExecutor

    from sdtc_ros.node.pose_node import PoseNode

    try:
        node = PoseNode(ended)
    except Exception as error:  # a parameter's value, a node name that is none
        return _refused(error)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=_serve, args=(node, executor, ended), name="sdtc-executor", daemon=True)
    thread.start()
    ended.wait()
    deadline = threading.Timer(STOP_SECONDS, lambda: _leave(_status(node)))
    deadline.daemon = True
    deadline.start()
    executor.shutdown(timeout_sec=0)
    thread.join()
    node.end()
    node.destroy_node()
    return _status(node)


def _leave(status: int) -> NoReturn:
    """End without the interpreter's own tidying up, which waits for libraries' threads and can take a second."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _serve(node: PoseNode, executor: Any, ended: threading.Event) -> None:
    from rclpy.executors import ExternalShutdownException

    try:
        node.start()
        executor.spin()
    except ExternalShutdownException:
        pass
    except Exception as error:  # a callback's defect: the node must not look alive when it is not
        node.error = error
        traceback.print_exc()
    finally:
        ended.set()


def _status(node: PoseNode) -> int:
    error = node.error
    return 0 if error is None else error.exit_status if isinstance(error, SdtcError) else 1


def _refused(error: Exception) -> int:
    """Log why there is no node; returns the exit status."""
    from rclpy.logging import get_logger

    # rcl's messages end in places of its source
    text = str(error) if isinstance(error, SdtcError) else " ".join(re.sub(r", at \S+:\d+", "", str(error)).split())
    get_logger("sdtc_pose").fatal(text)
    return error.exit_status if isinstance(error, SdtcError) else UsageError.exit_status


if __name__ == "__main__":
    sys.exit(main())
