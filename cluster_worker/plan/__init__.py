"""Plan a recipe as passes over tiles, and run the passes. Pure: no I/O, no MPI."""
