"""Synthetic smears with exact truth."""
