"""`make bench`: the speed of this app beside scikit-image and its peers, on this machine."""
