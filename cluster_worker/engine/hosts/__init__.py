"""One world over several hosts: an agent on each host, and the engine that asks them for ranks."""
