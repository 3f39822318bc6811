"""Several models one after the other, each for the attributes that it edits best."""
