"""The engine: knows `Trainable`, never a method."""
