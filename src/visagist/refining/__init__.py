"""Edits that look like photographs: a network paints anew what an editor's edit changes."""
