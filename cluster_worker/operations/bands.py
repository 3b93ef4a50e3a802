"""Single channels of an image."""

from typing import Annotated

from cluster_worker.operations.declare import Image, Number, Pointwise, operation


@operation("One channel", "Colour", Pointwise(), channels="any", arrays=1, cost=0.1)
def take_channel(
    image: Image, channel: Annotated[int, Number(1, 1024, slider=(1, 3), step=1)] = 1
) -> Image:
    """Take one channel of an image, such as the red one, or the second one of Lab.

    Parameters
    ----------
    channel : int
        The number of the channel, from 1: red, green and blue are 1, 2 and 3.

    References
    ----------
    numpy.take
    """
    count = image.shape[2] if image.ndim == 3 else 1
    if channel > count:
        raise ValueError(f"channel: the image has {count}, got {channel}")
    return image[..., channel - 1] if image.ndim == 3 else image
