"""What all sides of the app agree on. Standard library only, so that every room may import it."""
