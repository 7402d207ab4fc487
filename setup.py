"""One package for both worlds: `colcon build` (ament_python) and `pip install`."""

from glob import glob

from setuptools import find_packages, setup

NAME = "sdtc_ros"

# The robot's install: the pipeline on ONNX Runtime, no torch. opencv-python stays on 4.x, as ROS distributions do
# (OpenCV 5 has no HOG people detector).
BASE = [
    "numpy>=1.26",
    "opencv-python>=4.8,<5",
    "onnxruntime>=1.17",
    "rosbags>=0.11",
    "trackers>=2.0",
    "supervision>=0.26",
    "scipy>=1.7",
    "tqdm>=4.60",
]
EXPORT = ["torch>=2.6", "onnx>=1.17", "onnxscript>=0.5", "safetensors>=0.4"]
TRAIN = [
    "torch>=2.6",
    "safetensors>=0.4",
    "lightning>=2.5",
    "jsonargparse[signatures]>=4.35",
    "tensorboard>=2.15",
    "matplotlib>=3.6",
]
EXTRAS = {
    "train": TRAIN,
    "export": EXPORT,
    # onnxruntime-gpu and onnxruntime own the same folder: uninstall the latter first.
    "gpu": ["onnx>=1.17", "onnxruntime-gpu>=1.18", "tensorrt>=10.3", "pycuda>=2024.1"],
    "test": ["pytest>=8", "onnx>=1.17"],  # by this colcon test knows that pytest runs the tests
    "dev": [*TRAIN, *EXPORT, "pytest>=8", "transformers>=4.48", "ruff>=0.8", "mypy>=1.13", "types-PyYAML"],
}

setup(
    name=NAME,
    version="0.1.0",
    description="Real-time video human pose estimation (SDTC) for ROS 2",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["sdtc_ros", "sdtc_ros.*", "training", "training.*", "export", "export.*"]),
    package_data={"sdtc_ros": ["models/*/*", "py.typed"], "training": ["configs/*.yaml", "configs/tables/*.yaml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", glob("launch/*.launch.py")),
        (f"share/{NAME}/config", [*glob("config/*.yaml"), *glob("config/*.rviz")]),
        # what `ros2 run` runs; into entry points, --symlink-install would write colcon's own Python, which knows
        # nothing of a virtual environment
        (f"lib/{NAME}", glob("resource/executables/*")),
    ],
    install_requires=BASE,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": [
            "sdtc = sdtc_ros.__main__:main",
        ]
    },
    zip_safe=False,
)
