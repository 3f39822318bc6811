"""Edits of pictures by the million: shards shared among processes, each key written once."""
