"""What an edit adds to a photograph: its mask, its way from the model's square, and how it is added."""
