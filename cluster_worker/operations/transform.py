"""Geometry: size, direction and place of the pixels."""
