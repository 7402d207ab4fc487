"""What colcon needs of an ament_python package; all else stands in pyproject.toml."""

import re
from glob import glob
from pathlib import Path

import setuptools

NAME = "sdtc_ros"
# Ubuntu 22.04's setuptools (59) reads no [project] table.
OLD = int(setuptools.__version__.partition(".")[0]) < 61
METADATA = {
    "name": NAME,
    "version": re.search("<version>(.+)</version>", Path("package.xml").read_text(encoding="utf-8"))[1],
    "package_dir": {"": "."},
    "extras_require": {"test": ["pytest"]},  # by this colcon test knows that pytest runs the tests
    "entry_points": {"console_scripts": ["sdtc = sdtc_ros.__main__:main"]},
}

setuptools.setup(
    **(METADATA if OLD else {}),
    python_requires=">=3.10",  # in pyproject.toml it becomes an object whose repr() colcon cannot read: no build
    packages=setuptools.find_packages(include=[NAME, f"{NAME}.*"]),  # a robot gets no training, export or benchmarks
    package_data={NAME: ["models/*/*", "demo/*.npz", "py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", glob("launch/*.launch.py")),
        (f"share/{NAME}/config", [*glob("config/*.yaml"), *glob("config/*.rviz"), *glob("config/*.json")]),
        # what `ros2 run` runs; into entry points, --symlink-install would write colcon's own Python, which knows
        # nothing of a virtual environment
        (f"lib/{NAME}", glob("resource/executables/*")),
    ],
    zip_safe=False,
)
