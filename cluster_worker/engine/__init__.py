"""Worlds of MPI ranks: start, feed, watch and restart them. Only `mpi.py` imports mpi4py."""
