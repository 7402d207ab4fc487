"""Real-time video human pose for ROS 2: what runs on the robot (NumPy, OpenCV and an inference runtime, no torch)."""

__version__ = "0.1.0"
