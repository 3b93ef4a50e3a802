"""Image files: formats, codecs, windows, the decoder and its killable child."""
