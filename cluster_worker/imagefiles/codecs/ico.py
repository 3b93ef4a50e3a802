"""Icons: the largest picture of the file; read only."""

from PIL.IcoImagePlugin import IcoImageFile

from cluster_worker.imagefiles.codecs.plain_pictures import picture_format

ICO = picture_format(
    "ico", "icon", ("ico",), "image/vnd.microsoft.icon", rb"\0\0\x01\0.\0", IcoImageFile
)
