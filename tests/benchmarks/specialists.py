"""Peers of the benchmark `best`: libraries that are the best at one kind of work.

Each does the same work as the case of its name, as its own users would write it. Functions return
masks and labels in scikit-image's types, so that pixels can be compared.
"""

import cc3d
import cv2
import diplib
import edt
import fill_voids
import numpy as np
import pyvips
import SimpleITK as itk  # noqa: N813 - as its users import it
from skimage import morphology
from skimage.filters import rank

ANGLE = 17.0
THREADS = {"edt": 1}


def rank_median(radius):
    return lambda image: rank.median(image, morphology.disk(radius))


RANK = {
    "median, disk 5": rank_median(5),
    "median, disk 15": rank_median(15),
    "median, disk 5, 12 bits": rank_median(5),
    "median, disk 15, 12 bits": rank_median(15),
    "rank_percentile, disk 15": rank_median(15),
}


def cc3d_without_border(mask):
    labels = cc3d.connected_components(mask, connectivity=8, binary_image=True)
    edges = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    keep = np.ones(labels.max() + 1, bool)
    keep[np.concatenate(edges)] = False
    keep[0] = False
    return keep[labels]


CC3D = {
    "label": lambda mask: cc3d.connected_components(mask, connectivity=8, binary_image=True),
    "remove_small_objects": lambda mask: cc3d.dust(mask, threshold=65, connectivity=4),
    "clear_border": cc3d_without_border,
}


def opencv_label(mask):
    return cv2.connectedComponents(mask.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)[1]


def opencv_distance(mask):
    return cv2.distanceTransform(mask.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


def opencv_rotate(image):
    rows, columns = image.shape
    centre = ((columns - 1) / 2, (rows - 1) / 2)
    turn = cv2.getRotationMatrix2D(centre, ANGLE, 1.0)
    return cv2.warpAffine(image, turn, (columns, rows), flags=cv2.INTER_LINEAR)


def opencv_gaussian(image):
    return cv2.GaussianBlur(image, (161, 161), 20.0, borderType=cv2.BORDER_REPLICATE)


def opencv_bilateral(image):
    # scikit-image's defaults: a window of 5 pixels, and the image's own deviation of colours.
    return cv2.bilateralFilter(image, 5, float(image.std()), 1.0)


def opencv_canny(image):
    blurred = cv2.GaussianBlur(image, (9, 9), 1.0, borderType=cv2.BORDER_REPLICATE)
    # Its gradients are four times scikit-image's, on levels of 0 to 255.
    return cv2.Canny(blurred, 0.1 * 255 * 4, 0.2 * 255 * 4, L2gradient=True) > 0


OPENCV = {
    "label": opencv_label,
    "isotropic_erosion 10": lambda mask: opencv_distance(mask) > 10,
    "isotropic_dilation 10": lambda mask: opencv_distance(~mask) <= 10,
    "gaussian σ=20": opencv_gaussian,
    "gaussian σ=20 RGB": opencv_gaussian,
    "rotate 17°": opencv_rotate,
    "denoise_bilateral": opencv_bilateral,
    "CLAHE": lambda image: cv2.createCLAHE(2.0, (8, 8)).apply(image),
    "canny": opencv_canny,
}


def edt_within(mask, radius):
    return edt.edt(mask, parallel=THREADS["edt"]) > radius


EDT = {
    "isotropic_erosion 10": lambda mask: edt_within(mask, 10),
    "isotropic_dilation 10": lambda mask: ~edt_within(~mask, 10),
}

FILL_VOIDS = {"fill holes": fill_voids.fill}


def dip(work):
    """Return a function that passes arrays in memory to DIPlib and back."""
    return lambda image: np.asarray(work(diplib.Image(image)))


def dip_disk(radius):
    return diplib.Kernel([2 * radius + 1] * 2, "elliptic")


def dip_h_maxima(image):
    lowered = image - np.float32(0.1)
    grown = np.asarray(diplib.MorphologicalReconstruction(lowered, image, connectivity=2))
    return (image - grown >= np.float32(0.1)).astype(np.uint8)


def dip_reconstruction(image):
    seed = diplib.Erosion(image, diplib.SE([11, 11], "elliptic"))
    return np.asarray(diplib.MorphologicalReconstruction(seed, image, connectivity=2))


DIPLIB = {
    "median, disk 5": dip(lambda image: diplib.MedianFilter(image, dip_disk(5), ["zero order"])),
    "median, disk 15": dip(lambda image: diplib.MedianFilter(image, dip_disk(15), ["zero order"])),
    "label": dip(lambda mask: diplib.Label(mask, connectivity=2)),
    "remove_small_objects": dip(lambda mask: diplib.SmallObjectsRemove(mask, 65, connectivity=1)),
    "fill holes": dip(lambda mask: diplib.FillHoles(mask, connectivity=1)),
    "clear_border": dip(lambda mask: diplib.EdgeObjectsRemove(mask, connectivity=2)),
    "isotropic_erosion 10": dip(lambda mask: diplib.EuclideanDistanceTransform(mask) > 10),
    "isotropic_dilation 10": dip(lambda mask: diplib.EuclideanDistanceTransform(~mask) <= 10),
    "h_maxima": dip_h_maxima,
    "reconstruction": dip_reconstruction,
    "local_maxima": dip(lambda image: diplib.Maxima(image, connectivity=2, output="binary")),
    "area_opening": dip(lambda image: diplib.AreaOpening(image, filterSize=64, connectivity=1)),
    "gaussian σ=20": dip(lambda image: diplib.Gauss(image, 20, method="best")),
    "rotate 17°": dip(
        lambda image: diplib.Rotation2D(image, np.deg2rad(-ANGLE), "linear", "zero order")
    ),
    "skeletonize": dip(lambda mask: diplib.EuclideanSkeleton(mask, "natural")),
}


def simple_itk(work):
    """Return a function that passes arrays in memory to SimpleITK and back."""
    return lambda image: itk.GetArrayFromImage(
        work(itk.GetImageFromArray(image.view(np.uint8) if image.dtype == bool else image))
    )


def itk_canny(image):
    floats = itk.Cast(image, itk.sitkFloat32) / 255
    return itk.CannyEdgeDetection(floats, 0.1, 0.2, [1.0] * 2) > 0


ITK = {
    "label": simple_itk(lambda mask: itk.ConnectedComponent(mask, True)),
    "fill holes": simple_itk(lambda mask: itk.BinaryFillhole(mask) > 0),
    "isotropic_erosion 10": simple_itk(
        lambda mask: itk.SignedMaurerDistanceMap(mask, False, False) < -9.5
    ),
    "h_maxima": simple_itk(lambda image: image - itk.HMaxima(image, 0.1) >= 0.1),
    "local_maxima": simple_itk(lambda image: itk.RegionalMaxima(image, 0, 1, True)),
    "gaussian σ=20": simple_itk(lambda image: itk.SmoothingRecursiveGaussian(image, 20.0)),
    "denoise_bilateral": simple_itk(lambda image: itk.Bilateral(image, 1.0, 50.0)),
    "canny": simple_itk(itk_canny),
    "skeletonize": simple_itk(lambda mask: itk.BinaryThinning(mask) > 0),
}


def vips(image):
    return pyvips.Image.new_from_array(image).gaussblur(20.0).numpy()


VIPS = {"gaussian σ=20": vips, "gaussian σ=20 RGB": vips}

PEERS = {
    "rank.median": RANK,
    "cc3d": CC3D,
    "OpenCV": OPENCV,
    "edt": EDT,
    "fill-voids": FILL_VOIDS,
    "DIPlib": DIPLIB,
    "SimpleITK": ITK,
    "libvips": VIPS,
}


def limit_threads(threads):
    """Limit every library to `threads` threads; libvips reads its number from the environment."""
    cv2.setNumThreads(threads)
    diplib.SetNumberOfThreads(threads)
    itk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    THREADS["edt"] = threads
