"""OpenCV on one thread, because the ranks already use all cores. Load this module by `lazily`."""

import cv2

cv2.setNumThreads(1)
