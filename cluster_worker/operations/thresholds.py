"""Thresholds: bright pixels from dark ones, by a level found in the image."""
