"""One family of metrics a module."""
