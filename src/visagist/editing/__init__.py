"""Edits of faces with a trained model, with a calibrated strength."""
