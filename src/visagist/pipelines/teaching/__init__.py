"""Teach a trained model an attribute of a person's own, from few photographs with it and few without."""
