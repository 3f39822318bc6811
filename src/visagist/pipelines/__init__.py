"""What a command does from data to a model folder."""
