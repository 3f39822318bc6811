"""Architectures, without losses; every network is a plain `nn.Module` that a method names."""
