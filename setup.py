"""Builds the compiled modules; everything else about the package stands in pyproject.toml.

PMON_DEBUG=1 builds without optimisation and with Cython's bounds checks, for a debugger.
"""

import os

import Cython.Compiler.Options
from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("PMON_DEBUG") == "1"
# -O3, not -O2: GCC vectorises the int16 loops only there. -g0 keeps the wheel small.
CFLAGS = ["-O0", "-g"] if DEBUG else ["-O3", "-g0"]

Cython.Compiler.Options.warning_errors = True

setup(
    ext_modules=cythonize(
        [
            Extension(
                "pmon._dsp",
                ["src/pmon/_dsp.pyx"],
                extra_compile_args=[*CFLAGS, "-Wall", "-Wextra", "-Wno-unused-parameter"],
            )
        ],
        build_dir="build",
        compiler_directives={"boundscheck": DEBUG, "wraparound": False, "initializedcheck": DEBUG},
    )
)
