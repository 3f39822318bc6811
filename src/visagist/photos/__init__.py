"""Photograph files: which formats there are, how one is opened, and what bounds it; knows no model."""
