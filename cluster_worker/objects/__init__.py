"""Pixels in an object store: windows of files, chunks between passes, tiles of results."""
