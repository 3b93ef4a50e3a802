"""How loops are compiled."""

from numba import njit

# Products may be added without rounding in between, wherever that is faster: it is so for every
# pixel of a loop alike, so that no bit depends on where a tile was cut.
compiled = njit(cache=True, fastmath={"contract"}, error_model="numpy")
