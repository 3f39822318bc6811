"""The version of the package, also in every checkpoint's description."""

__version__ = "0.1.0"
