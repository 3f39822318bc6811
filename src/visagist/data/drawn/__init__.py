"""Drawn faces: pictures from known factors, any of which can be flipped."""
