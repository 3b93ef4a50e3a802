"""From a recipe to passes over tiles, and how they run. Pure: no I/O, no MPI."""
