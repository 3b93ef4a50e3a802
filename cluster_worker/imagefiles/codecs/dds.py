"""DDS textures in the compressions that Pillow decodes: the largest picture; read only."""

from PIL.DdsImagePlugin import DdsImageFile

from cluster_worker.imagefiles.codecs.plain_pictures import picture_format

DDS = picture_format("dds", "DDS", ("dds",), "image/vnd-ms.dds", rb"DDS \x7c\0\0\0", DdsImageFile)
