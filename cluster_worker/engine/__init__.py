"""Worlds of MPI ranks: start, feed, watch, restart. `mpi.py` alone knows mpi4py."""
