"""Spans and tiles of images, and where their pixels lie."""
