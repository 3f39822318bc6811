"""Photograph and video files; knows no model."""
