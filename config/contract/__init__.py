"""What API, worker and infrastructure agree on. Standard library only."""
