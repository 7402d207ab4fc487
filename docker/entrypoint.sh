#!/usr/bin/env bash
# Arguments are pose.launch.py's: docker run ... sdtc_ros image:=/camera/image_raw provider:=tensorrt
# Any other command runs as it is: docker run -it ... sdtc_ros bash
set -e
source /venv/bin/activate
source /workspace/install/setup.bash
case "${1:-}" in
    "" | *:=* | --show-args) exec ros2 launch sdtc_ros pose.launch.py provider:=tensorrt "$@" ;;
    *) exec "$@" ;;
esac
