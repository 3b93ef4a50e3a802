"""Rank filters: statistics of each pixel's neighbourhood."""
