"""A worker node: consumer, runner, storage and life cycle."""
