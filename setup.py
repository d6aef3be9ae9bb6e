"""Everything lies in setup.cfg; this file lets old installers find it."""

from setuptools import setup

setup()
