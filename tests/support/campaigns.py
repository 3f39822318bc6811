"""What is tried at random for minutes, by `VISAGIST_CAMPAIGNS=1 scripts/test`; in every run only a little of it."""

from __future__ import annotations

import os

import pytest

CAMPAIGNS = bool(os.environ.get("VISAGIST_CAMPAIGNS"))
campaign = pytest.mark.skipif(not CAMPAIGNS, reason="takes minutes: set VISAGIST_CAMPAIGNS=1 to run it")
