"""Regions: labels, their borders, and what is left out."""
