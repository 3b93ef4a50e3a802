"""The planes and channels of a file that are read, by the options of a run."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from cluster_worker.errors import Rejected
from cluster_worker.imagefiles.codecs.header import Header, Picked
from cluster_worker.imagefiles.decoder import Decoder
from cluster_worker.imagefiles.reading import as_told
from cluster_worker.pixels.header import RGB, ImageHeader
from cluster_worker.pixels.stack import ALL, Choice, Stack, chosen, numbers_in

# Items that describe all planes of a file, and lie in its first page.
OF_ALL_PLANES = ("ome", "imagej")


class ChosenPlanes(NamedTuple):
    """The planes of a file that are read.

    Attributes
    ----------
    whole : Header
        Of the file.
    stack : Stack or None
        What the planes are; None if it is one.
    numbers : tuple of int
        Of the planes in the file, counted from 0.
    channels : str
        Those of each plane, as in `Choice`; empty for all.
    choice : Choice
        As what they are read.
    """

    whole: Header
    stack: Stack | None
    numbers: tuple[int, ...]
    channels: str = ""
    choice: Choice = ALL

    def place(self, number: int) -> dict[str, int]:
        """Return the place of a chosen plane in the file: its number, and along several axes.

        All count from 1, as the options that choose planes do.
        """
        stack, plane = self.whole.stack, self.numbers[number]
        along = stack.place(plane) if stack is not None and len(stack.axes) > 1 else {}
        return {"plane": plane + 1} | {axis: each + 1 for axis, each in along.items()}


def choose_planes(whole: Header, choice: Choice = ALL) -> ChosenPlanes:
    """Choose planes of a file.

    Raises
    ------
    Rejected
        If the file has no such planes.
    """
    if whole.stack is None:
        for option, text in (("t", choice.t), ("z", choice.z)):
            if text:
                raise Rejected(f"{whole.name}: has one plane; leave out the option {option}")
        if choice.page:
            numbers_in(choice.page, 1, "page")
        return ChosenPlanes(whole, None, (0,), choice.channels, choice)
    if whole.parts and not choice.page:
        if choice.t or choice.z:
            raise Rejected(f"{whole.name}: has neither times nor slices; choose a part by page")
        return ChosenPlanes(whole, None, (0,), choice.channels, choice)
    stack, numbers = chosen(whole.stack, choice, whole.name)
    channels = "" if "c" in whole.stack.axes else choice.channels
    chosen_stack = stack if len(numbers) > 1 else None
    return ChosenPlanes(whole, chosen_stack, numbers, channels, choice)


def read_plane_header(decoder: Decoder, path: Path, planes: ChosenPlanes, number: int) -> Header:
    """Return the header of a chosen plane.

    The first plane carries what describes all planes; sizes of pixels that the file states once
    hold for every plane, unless the planes are pages without a meaning.

    Parameters
    ----------
    decoder : Decoder
        Reads the file.
    path : Path
        The file.
    planes : ChosenPlanes
        From `choose_planes`.
    number : int
        Of the plane among the chosen ones.

    Raises
    ------
    Rejected
        If this app does not read the plane.
    """
    whole = planes.whole
    if whole.stack is None:
        return as_told(with_channels(whole, planes.channels), planes.choice)
    plane = planes.numbers[number]
    header = decoder.read_header(path, whole.name, plane)
    items = tuple(each for each in header.items if each.name not in OF_ALL_PLANES)
    if number == 0:
        items = (*(each for each in whole.items if each.name in OF_ALL_PLANES), *items)
        header = replace(header, notes=tuple(dict.fromkeys(whole.notes + header.notes)))
    image, resolution = header.image, header.resolution
    if whole.stack.axes != "p":
        image = image._replace(pixel_size=image.pixel_size or whole.image.pixel_size)
        resolution = resolution or whole.resolution
    image = named_channel(image, whole.stack, plane)
    header = replace(header, items=items, image=image, resolution=resolution)
    return as_told(with_channels(header, planes.channels), planes.choice)


def named_channel(image: ImageHeader, stack: Stack, plane: int) -> ImageHeader:
    """Return the header of a plane with the name of its channel, if the stack has channels."""
    if not stack.channels or "c" not in stack.axes or image.colours > 1:
        return image
    return image._replace(channels=(stack.channels[stack.place(plane)["c"]],))


def with_channels(header: Header, channels: str) -> Header:
    """Return a header of some channels of a plane; three of bands are red, green and blue.

    Parameters
    ----------
    header : Header
        Of all channels.
    channels : str
        As in `Choice`; empty for all.

    Raises
    ------
    Rejected
        If there are no such channels.
    """
    if not channels:
        return header
    image = header.image
    stored = image.colours + image.alpha
    numbers = numbers_in(channels, stored, "channels")
    if header.palette:
        header = replace(header, palette=b"")
    alpha = image.alpha and numbers[-1] == stored - 1 and len(numbers) > 1
    if image.alpha and not alpha and stored - 1 in numbers:
        raise Rejected(f"channels: channel {stored} is alpha, so name it as the last of several")
    colours = numbers[: len(numbers) - alpha]
    names = tuple(image.channels[number] for number in colours) if image.channels else ()
    notes, kind = header.notes, image.kind
    if len(colours) == 3 and names != RGB and kind in ("picture", "intensity", "bands"):
        notes += (f"channels {channels} were taken as red, green and blue",)
        kind, names = "picture", ()
    elif len(colours) == 1:
        kind = "picture" if image.dtype == "uint8" else "intensity"
        names = names if names and names[0] else ()
    elif names != RGB:
        kind = "bands"
    shape = image.shape[:2] if len(numbers) == 1 else (*image.shape[:2], len(numbers))
    axes = "yxs"[: len(shape)]
    described = image._replace(shape=shape, axes=axes, kind=kind, alpha=alpha, channels=names)
    picked = Picked(numbers, stored, image.alpha)
    return replace(header, image=described, notes=notes, picked=picked)


def read_input_header(decoder: Decoder, path: Path, plane: int, among: Stack | None) -> Header:
    """Return the header of another image that steps read beside a plane.

    If it is a stack of as many planes as the image's file, it is the plane of the same number.

    Parameters
    ----------
    decoder : Decoder
        Reads the file.
    path : Path
        The file of the other image.
    plane : int
        Number of the image's plane in its file.
    among : Stack or None
        All planes of the image's file; None if it has one.

    Raises
    ------
    Rejected
        If this app does not read the file, or it has another number of planes.
    """
    whole = decoder.read_header(path, path.name)
    if whole.stack is None:
        return whole
    if whole.parts:
        return decoder.read_header(path, path.name, 0)
    count = among.planes if among else 1
    if whole.stack.planes != count:
        raise Rejected(
            f"{path.name}: has {whole.stack.planes} planes, and the image's file has {count}; give "
            "one with a single plane or with as many"
        )
    return decoder.read_header(path, path.name, plane)
