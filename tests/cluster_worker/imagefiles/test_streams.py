"""Images in files, as a rank reads them."""

from contextlib import ExitStack

import numpy as np
import pytest
import tifffile

from cluster_worker.imagefiles import formats
from cluster_worker.imagefiles.decoder_source import DecoderSource
from cluster_worker.imagefiles.streams import FileAccess, FileImage
from cluster_worker.pixels.tiling import Span

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


def test_the_decoders_processor_time_counts_for_who_reads(tmp_path):
    path = tmp_path / "image.tif"
    image = np.random.default_rng(0).integers(0, 256, (2048, 2048), np.uint8)
    tifffile.imwrite(path, image, tile=(256, 256), compression="zlib")
    with ExitStack() as stack:
        stack.callback(DecoderSource(tmp_path).close)
        files = FileAccess(tmp_path, 1)
        stack.callback(files.close)
        assert files.take_cpu_seconds() == 0
        header = formats.read_header(path, "image.tif", 1 << 30)
        opened = files.source(FileImage(str(path), header), stack)
        np.testing.assert_array_equal(opened.read(Span(0, 2048, 0, 2048)), image)
        assert files.take_cpu_seconds() > 0
        assert files.take_cpu_seconds() == 0
