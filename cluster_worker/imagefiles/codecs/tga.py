"""TGA (Truevision): gray, palettes and colours, plain or as run lengths; read only.

The format has no magic bytes: kind of palette and of picture, bits of a pixel and its flags must be
those of a TGA. Source: Truevision TGA file format specification, version 2.0.
"""

from PIL.TgaImagePlugin import TgaImageFile

from cluster_worker.imagefiles.codecs.plain_pictures import picture_format

TGA = picture_format(
    "tga",
    "TGA",
    ("tga",),
    "image/x-tga",
    rb".(?:\x00[\x02\x03\x0a\x0b]\x00{5}|\x01[\x01\x09].{4}[\x0f\x10\x18\x20])"
    rb".{8}[\x01\x08\x0f\x10\x18\x20][\x00-\x3f]",
    TgaImageFile,
)
