"""Architectures and model bundles; torch starts here, and only inside functions that need a network."""
