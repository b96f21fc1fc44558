"""Readers of existing trajectories: one module per published format, all into the one normal form."""
