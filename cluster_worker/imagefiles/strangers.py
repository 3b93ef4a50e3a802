"""Formats that this app does not read, told by their first bytes, and the way out of each."""

import re

AS_PICTURE = "save it as PNG or TIFF"
AS_TIFF = "export it as TIFF"
AS_OME = "export it as OME-TIFF"
PAGES = "export its pages as PNG or TIFF"
UNPACK = "unpack it, and send the images in it"
FRAMES = "export its frames as PNG"
CONVERT = "save it as TIFF with a raw converter"
ITSELF = "send the image itself"
DOWNLOAD = "download the image itself"

# Bytes that are enough to tell all of them.
HEAD_BYTES = 512

# In letters of both cases: the page uses the patterns too, and a browser knows no "(?i)".
HTML = re.sub(
    rb"[a-z]",
    lambda letter: b"[" + letter[0].upper() + letter[0] + b"]",
    b"!doctype html|html|head",
)

# Name, way out, and pattern of the first bytes.
STRANGERS: tuple[tuple[str, str, re.Pattern[bytes]], ...] = tuple(
    (name, way, re.compile(pattern, re.DOTALL))
    for name, way, pattern in (
        ("a PDF document", PAGES, rb"\s*%PDF"),
        ("a PostScript document", "export it as PNG or TIFF", rb"%!PS|\xc5\xd0\xd3\xc6"),
        ("an SVG drawing", "export it as PNG", rb"(\xef\xbb\xbf)?\s*(<\?xml.*)?<svg"),
        ("a DjVu document", PAGES, rb"AT&TFORM"),
        ("an RTF document", PAGES, rb"\{\\rtf"),
        ("an Office document", PAGES, rb"PK\x03\x04.{26}(\[Content_Types\]|_rels/|word/|xl/|ppt/)"),
        ("a document", PAGES, rb"PK\x03\x04.{26}mimetype"),
        ("a file of Office or of a microscope (OLE)", PAGES, rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("a PAM image", AS_PICTURE, rb"P7\s"),
        ("a float PNM image", AS_TIFF, rb"P[Ff]\s"),
        ("an AVIF animation", AS_PICTURE, rb".{4}ftypavis"),
        ("a HEIC sequence", "save its pictures as JPEG", rb".{4}ftyp(hevc|hevx|msf1)"),
        (
            "a raw file of a camera",
            CONVERT,
            rb"FUJIFILMCCD|IIR[OS]|MMOR|IIU\0|IIII|FOVb|\0MRM|II\x1a\0\0\0HEAP|.{4}ftypcrx "
            rb"|II\*\0.{4}CR\x02",
        ),
        (
            "a video",
            FRAMES,
            rb".{4}(ftyp|moov|mdat|wide|free|skip)|RIFF.{4}AVI |\x1aE\xdf\xa3|FLV\x01"
            rb"|\0\0\x01[\xb3\xba]|\x30\x26\xb2\x75\x8e\x66\xcf\x11|G.{187}G.{187}G",
        ),
        ("a video or a sound", FRAMES, rb"OggS"),
        ("a sound", "send an image", rb"RIFF.{4}WAVE|ID3[\x02-\x04]|fLaC|MThd|\xff\xfb|\xff\xf1"),
        ("a JPEG XR image", AS_PICTURE, rb"II\xbc[\x00\x01]"),
        ("a GIMP document", "export it as PNG or TIFF", rb"gimp xcf"),
        ("a cursor", AS_PICTURE, rb"\0\0\x02\0.\0|RIFF.{4}ACON"),
        ("an Apple icon", AS_PICTURE, rb"icns"),
        ("a PCX image", AS_PICTURE, rb"\n[\0\x02-\x05]\x01[\x01\x02\x04\x08]"),
        ("a QOI image", AS_PICTURE, rb"qoif"),
        ("an image of an Amiga (IFF)", AS_PICTURE, rb"FORM.{4}(ILBM|PBM )"),
        ("a Sun raster image", AS_PICTURE, rb"\x59\xa6\x6a\x95"),
        ("an X11 image", AS_PICTURE, rb"/\* XPM \*/|#define \w+_width"),
        ("a FLIF or BPG image", AS_PICTURE, rb"FLIF|BPG\xfb"),
        ("an MNG or JNG image", AS_PICTURE, rb"\x8aMNG|\x8bJNG"),
        ("an image of a film scanner (DPX, Cineon)", AS_TIFF, rb"SDPX|XPDS|\x80\x2a\x5f\xd7"),
        ("a texture (KTX)", AS_PICTURE, rb"\xabKTX "),
        ("a Windows metafile", "export it as PNG", rb"\xd7\xcd\xc6\x9a|\x01\0\0\0.{36} EMF"),
        ("a Blender file", "save its picture as PNG or OpenEXR", rb"BLENDER"),
        ("a Radiance HDR image", AS_TIFF, rb"#\?(RADIANCE|RGBE)"),
        ("a Zeiss image (CZI)", AS_OME, rb"ZISRAW"),
        ("a Leica image (LIF)", AS_OME, rb"\x70\0\0\0.{4}\x2a"),
        ("a Nikon image (ND2)", AS_OME, rb"\xda\xce\xbe\x0a"),
        ("a Gatan image (DM3, DM4)", AS_TIFF, rb"\0\0\0[\x03\x04].{4,8}\0\0\0\x01"),
        ("an MRC volume", AS_TIFF, rb".{208}MAP[ \0]"),
        ("an Andor image (SIF)", AS_TIFF, rb"Andor Technology"),
        ("an NRRD volume", "save it as NIfTI or TIFF", rb"NRRD\d{4}"),
        ("a MetaImage", "save it as NIfTI or TIFF", rb"(ObjectType|NDims)\s*="),
        ("an HDF5 file", AS_TIFF, rb"\x89HDF\r\n"),
        ("a NetCDF file", AS_TIFF, rb"CDF[\x01\x02\x05]"),
        ("a GRIB file", AS_TIFF, rb"GRIB"),
        ("a MATLAB file", "save it by imwrite as TIFF", rb"MATLAB 5\.0"),
        ("a NumPy array", "save it as TIFF with tifffile", rb"\x93NUMPY"),
        ("a grid in text", "export it as GeoTIFF", rb"ncols\s+\d"),
        ("a description of rasters (VRT)", "export it as GeoTIFF", rb"<VRTDataset"),
        ("a point cloud", "export a raster as GeoTIFF", rb"LASF|ASTM-E57"),
        ("an image of a space probe", AS_TIFF, rb"Object = IsisCube|PDS_VERSION_ID|LBLSIZE="),
        ("a zip archive", UNPACK, rb"PK(\x03\x04|\x05\x06|\x07\x08)"),
        ("a 7z or rar archive", UNPACK, rb"7z\xbc\xaf|Rar!"),
        ("a tar archive", UNPACK, rb".{257}ustar"),
        (
            "a packed file (bzip2, xz, zstd, LZ4)",
            UNPACK,
            rb"BZh[1-9]|\xfd7zXZ|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18",
        ),
        ("an HTML page", DOWNLOAD, rb"(\xef\xbb\xbf)?\s*<(" + HTML + rb"|!--)"),
        ("an XML document", ITSELF, rb"(\xef\xbb\xbf)?\s*<\?xml"),
        ("JSON", ITSELF, rb"\s*[\[{]\s*[\"\[{\]}\d-]"),
        ("a pointer of Git LFS", DOWNLOAD, rb"version https://git-lfs"),
        ("a program", ITSELF, rb"MZ|\x7fELF|\xca\xfe\xba\xbe|[\xce\xcf]\xfa\xed\xfe|\0asm"),
        ("a database", "export the images in it", rb"SQLite format 3"),
        ("a font", ITSELF, rb"\0\x01\0\0\0[\x01-\x40]\0|OTTO|wOF[F2]|ttcf"),
    )
)
# What begins in the middle of a head: an image behind bytes of something else.
HIDDEN: tuple[tuple[str, bytes], ...] = (
    ("a PNG", b"\x89PNG\r\n\x1a\n"),
    ("a JPEG", b"\xff\xd8\xff\xe0"),
    ("a JPEG", b"\xff\xd8\xff\xe1"),
    ("a GIF", b"GIF89a"),
)
# Whole words and numbers: printable characters alone, in any code for more than ASCII.
TEXT = re.compile(rb"[\t\n\f\r\x20-\x7e\x80-\xff]+\Z")
LETTERS = re.compile(rb"[\x20-\x7e]{4}")


def stranger(head: bytes) -> tuple[str, str] | None:
    """Return the name of a format that is not read, and the way out; None if it is not known.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` of a file.
    """
    for name, way, pattern in STRANGERS:
        if pattern.match(head):
            return name, way
    for name, mark in HIDDEN:
        place = head.find(mark)
        if place > 0:
            return f"{name} behind {place} other bytes", "save or download it again without them"
    if TEXT.match(head) and LETTERS.search(head) and not is_noise(head):
        return "text", ITSELF
    return None


def is_noise(head: bytes) -> bool:
    """Return whether less than nine tenths of some bytes are ASCII, as no text of ours has."""
    return sum(byte < 0x80 for byte in head) < 0.9 * len(head)
