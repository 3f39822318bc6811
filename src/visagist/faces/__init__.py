"""Faces in photographs: boxes, five points, pose, alignment, tracks."""
