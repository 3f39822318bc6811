"""Which faces of a photograph or a film are meant: by size, number, place or likeness."""
