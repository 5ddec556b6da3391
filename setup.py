"""What pyproject.toml cannot say: the native judge, which is left out where no compiler is."""

from glob import glob

from setuptools import Extension, setup

JUDGE = "auditwatch/trail/judge"

setup(
    ext_modules=[
        Extension(
            "auditwatch.trail.judge._native",
            [f"{JUDGE}/_native.c"],
            depends=glob(f"{JUDGE}/*.h"),
            extra_compile_args=["-std=gnu11", "-O2"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
