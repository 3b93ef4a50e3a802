"""What all sides of the app agree on. Standard library only, so that every room may import it."""

# Of the app as a whole; that of the package is held to it by a test.
VERSION = "0.1.0"
