"""The version of this program, as its metadata has it."""

from importlib.metadata import version

VERSION = version("embedstream")
