"""Ridges: lines and vessels, found by second derivatives."""
