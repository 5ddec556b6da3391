"""What pyproject.toml cannot say: the native judge, which is left out where no compiler is."""

from setuptools import Extension, setup

JUDGE = "auditwatch/trail/judge"

setup(
    ext_modules=[
        Extension(
            "auditwatch.trail.judge._native",
            [f"{JUDGE}/_native.c"],
            depends=[f"{JUDGE}/_walk.h", f"{JUDGE}/_damage.h"],
            extra_compile_args=["-std=gnu11", "-O2"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
