"""Builds ``{{cookiecutter.distribution}}``; the entry point is what Pypes finds the component by."""

from setuptools import setup

setup(
    name="{{cookiecutter.distribution}}",
    version="0.1.0",
    description="{{cookiecutter.component}}, a component for Pypes",
    python_requires=">=3.11",
    packages=["{{cookiecutter.package}}"],
    install_requires=["pypes-server>=0.1"],
    extras_require={"test": ["pytest>=8"]},
    entry_points={"pypes.components": ["{{cookiecutter.component}} = {{cookiecutter.package}}.{{cookiecutter.module}}:{{cookiecutter.component}}"]},
)
