"""Work in the codes of a model."""
