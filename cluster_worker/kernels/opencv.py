"""OpenCV on one thread: the ranks are the parallelism. Load it by `lazily`."""

import cv2

cv2.setNumThreads(1)
