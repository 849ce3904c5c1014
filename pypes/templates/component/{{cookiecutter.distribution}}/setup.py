"""Builds ``{{cookiecutter.distribution}}``; the entry point is what Pypes finds the component by."""

from pathlib import Path

from setuptools import setup

setup(
    name="{{cookiecutter.distribution}}",
    version="0.1.0",
    description="{{cookiecutter.component}}, a component for Pypes",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=["{{cookiecutter.package}}"],
    install_requires=["pypes-server>=0.1"],
    extras_require={"test": ["pytest>=8"]},
    entry_points={"pypes.components": ["{{cookiecutter.component}} = {{cookiecutter.package}}.{{cookiecutter.module}}:{{cookiecutter.component}}"]},
)
