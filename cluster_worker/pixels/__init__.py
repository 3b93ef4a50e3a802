"""Spans and tiles of images, surfaces, shared memory, and conversions between dtypes."""
