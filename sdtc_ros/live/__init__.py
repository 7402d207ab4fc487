"""The live door: everything that only the ROS 2 node uses. rclpy is imported in the files that say so."""
