"""One file per image format, each a frozen record with what reads and writes it."""
