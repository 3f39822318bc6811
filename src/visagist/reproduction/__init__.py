"""Published tables and figures as values, and how they are trained, measured and drawn anew."""

from __future__ import annotations

from visagist.reproduction.spec import Reproduction, available, get

__all__ = ["Reproduction", "available", "get"]
