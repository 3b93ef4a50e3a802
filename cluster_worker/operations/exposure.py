"""Intensities: brightness and contrast."""
