"""Neighbourhoods for morphology and rank filters."""
