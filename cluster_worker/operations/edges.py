"""Edges: derivatives of the image."""
