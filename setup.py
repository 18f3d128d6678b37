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


def extension(name: str, depends: list[str]) -> Extension:
    return Extension(
        f"pmon.{name}",
        [f"src/pmon/{name}.pyx"],
        depends=depends,
        extra_compile_args=[*CFLAGS, "-Wall", "-Wextra", "-Wno-unused-parameter"],
    )


setup(
    ext_modules=cythonize(
        [
            extension("_dsp", depends=[]),
            extension("_tap", depends=["src/pmon/_tap_core.h"]),
        ],
        build_dir="build",
        compiler_directives={"boundscheck": DEBUG, "wraparound": False, "initializedcheck": DEBUG},
    )
)
