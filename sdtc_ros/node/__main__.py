# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""`ros2 run sdtc_ros pose_node`, or `python -m sdtc_ros.node --ros-args ...`: see `process`.

Signals are seen to before anything is imported that takes time: from the first tenth of a second on, Ctrl-C and SIGTERM
are no traceback, and end the process with status 0.
"""

from __future__ import annotations

import os
import signal
import sys

STOPPING = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    """Run the node until it is told to end; returns the exit status only where ROS could not even begin."""
    for number in STOPPING:
        signal.signal(number, lambda *_: os._exit(0))  # nothing is there yet that would have to be ended
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)  # pose.launch.py starts us with them blocked
    from sdtc_ros.node.process import run

    return run(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
