"""HTML pages of what was measured; knows no model."""
