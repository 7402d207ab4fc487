# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The node's process, from its arguments to its exit status.

It ends at SIGINT and SIGTERM within two seconds and with status 0, at whatever moment they come, else with the statuses
of errors.py; what went wrong is one sentence in the log. rclpy is imported in `node` and `tools` alone, and here where
it is used, so that --help needs no ROS 2.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from sdtc_ros.errors import SdtcError, UsageError
from sdtc_ros.node.loading import cannot_import
from sdtc_ros.node.parameters import PARAMETERS

if TYPE_CHECKING:
    from sdtc_ros.node.pose_node import PoseNode

STOP_SECONDS = 1.5  # of the two; whatever still runs then (an engine being built, a frame at work) is abandoned
_EPILOG = """\
Everything is said to a node the ROS 2 way, after --ros-args: -p NAME:=VALUE sets a parameter, --params-file FILE many
of them, -r FROM:=TO renames a topic (image, detections, sdtc/poses, sdtc/image_annotated), -r __ns:=/front puts all of
it into a namespace. parameters:
"""


def run(argv: Sequence[str]) -> int:
    """Run the node until it is told to end; returns the exit status only where ROS could not even begin."""
    _parser().parse_args(own_words(argv[1:]))
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions

        import sdtc_ros.node.pose_node  # noqa: F401
    except ImportError as error:
        print(f"sdtc_ros: error: {cannot_import(error)}", file=sys.stderr)
        return UsageError.exit_status
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        rclpy.init(args=list(argv), signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # wrong --ros-args, a parameter file that is missing or no YAML
        return _refused(error)
    try:
        status = _run(ended)
    finally:
        rclpy.try_shutdown()
    _leave(status)


def own_words(words: Sequence[str]) -> list[str]:
    """The words of a command line that are not ROS's: those outside of `--ros-args ... --`."""
    own, ros = [], False
    for word in words:
        if word == "--ros-args":
            ros = True
        elif ros and word == "--":
            ros = False
        elif not ros:
            own.append(word)
    return own


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {one.name:<22} {one.description}{one.limits}" for one in PARAMETERS)
    return argparse.ArgumentParser(
        prog="pose_node", usage="%(prog)s [-h] [--ros-args ...]", epilog=_EPILOG + listed,
        description="The ROS 2 node: camera images in, human poses out.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


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
        if not ended.is_set():  # once it is to end, the executor is shut down under whatever is still being started
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
