"""The records of all formats, and formats by endings and titles."""

from collections.abc import Mapping, Sequence

from cluster_worker.imagefiles.codecs.avif import AVIF
from cluster_worker.imagefiles.codecs.bmp import BMP
from cluster_worker.imagefiles.codecs.dds import DDS
from cluster_worker.imagefiles.codecs.dicom import DICOM
from cluster_worker.imagefiles.codecs.fits import FITS
from cluster_worker.imagefiles.codecs.gif import GIF
from cluster_worker.imagefiles.codecs.header import Format
from cluster_worker.imagefiles.codecs.heic import HEIC
from cluster_worker.imagefiles.codecs.ico import ICO
from cluster_worker.imagefiles.codecs.jpeg import JPEG
from cluster_worker.imagefiles.codecs.jpeg2000 import JPEG2000
from cluster_worker.imagefiles.codecs.jpegls import JPEGLS
from cluster_worker.imagefiles.codecs.jpegxl import JPEGXL
from cluster_worker.imagefiles.codecs.nifti import NIFTI
from cluster_worker.imagefiles.codecs.ome_zarr import ZARR
from cluster_worker.imagefiles.codecs.openexr import EXR
from cluster_worker.imagefiles.codecs.png import PNG
from cluster_worker.imagefiles.codecs.pnm import PNM
from cluster_worker.imagefiles.codecs.psd import PSD
from cluster_worker.imagefiles.codecs.radiance import HDR
from cluster_worker.imagefiles.codecs.sgi import SGI
from cluster_worker.imagefiles.codecs.tga import TGA
from cluster_worker.imagefiles.codecs.tiff import TIFF
from cluster_worker.imagefiles.codecs.webp import WEBP

# A file is of the first format whose pattern its first bytes match; TGA's would match others.
FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        *(JPEG, PNG, WEBP, TIFF, GIF, BMP, PNM, JPEG2000, AVIF, DICOM, ZARR, JPEGXL, HEIC),
        *(JPEGLS, NIFTI, FITS, EXR, HDR, PSD, SGI, DDS, ICO, TGA),
    )
}

# Names of the formats that results are written in.
WRITTEN = tuple(name for name, form in FORMATS.items() if form.write is not None)


def titles() -> str:
    """Name the usual formats for a sentence, and the page that lists all of them."""
    *usual, last = (FORMATS[name].title for name in ("jpeg", "png", "webp", "tiff"))
    return f"{', '.join(usual)}, {last} or another format of docs/formats.md"


def choice_of(names: Sequence[str]) -> str:
    """List the titles of formats for a sentence."""
    *others, last = (FORMATS[name].title for name in names)
    return f"{', '.join(others)} or {last}"


def format_by_ending(name: str) -> Format | None:
    """Return the format that a file has by its ending, None if there is no such format."""
    ending = name.lower()
    for form in FORMATS.values():
        if any(ending.endswith(f".{each}") for each in form.extensions):
            return form
    return None
