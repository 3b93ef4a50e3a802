"""Restoration: noise and blur taken away."""
