"""`make bench`: how fast this is beside scikit-image and its peers, on the machine at hand."""
