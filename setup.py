"""Builds the compiled modules; everything else about the package stands in pyproject.toml.

PMON_DEBUG=1 builds without optimisation and with Cython's bounds checks, for a debugger;
PMON_SANITIZE=1 with the address and undefined behaviour sanitizers, for `make sanitize-modules`.
"""

import os
from glob import glob
from typing import Any

import Cython.Compiler.Options
from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = os.environ.get("PMON_DEBUG") == "1"
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g"]
SANITIZED = SANITIZERS if os.environ.get("PMON_SANITIZE") == "1" else []
# -O3, not -O2: GCC vectorises the int16 loops only there. -g0 keeps the wheel small.
CFLAGS = ["-O0", "-g"] if DEBUG else ["-O1"] if SANITIZED else ["-O3", "-g0"]
# What Cython keeps of a module, its types among it, is each interpreter's own, not the process's.
PER_INTERPRETER = [("CYTHON_USE_MODULE_STATE", "1"), ("CYTHON_USE_TYPE_SPECS", "1")]

Cython.Compiler.Options.warning_errors = True


def extension(name: str, depends: list[str], **more: Any) -> Extension:
    return Extension(
        f"pmon.{name}",
        [f"src/pmon/{name}.pyx"],
        depends=depends,
        libraries=["m"],  # Python has it, too, but then the wheel's tag would not know of it
        extra_compile_args=[*CFLAGS, "-Wall", "-Wextra", "-Wno-unused-parameter", *SANITIZED],
        extra_link_args=SANITIZED,
        **more,
    )


setup(
    ext_modules=cythonize(
        [
            extension("_dsp", depends=["src/pmon/_bands.h"], define_macros=PER_INTERPRETER),
            extension("_tap", depends=glob("src/pmon/_*.h")),
        ],
        build_dir="build",
        compiler_directives={"boundscheck": DEBUG, "wraparound": False, "initializedcheck": DEBUG},
    )
)
