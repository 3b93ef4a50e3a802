"""One file per image format: a frozen record with the functions that read and write it."""
