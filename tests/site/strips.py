"""Strips of screenshots: what a visitor saw from the first moment of a job to its last."""

import io
import time
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

WIDTH = 680
CAPTION = 26
ACROSS = 3


class Strip:
    """Screenshots of a page, one after the other, with what was done and how long it took.

    Attributes
    ----------
    clicks : int
        Presses of the pointer so far, as the page counts them.
    """

    def __init__(self, page, name, folder):
        self.page, self.name, self.folder = page, name, folder
        self.began = time.monotonic()
        self.shots = []
        page.evaluate(
            "window.presses = 0;"
            "window.addEventListener('click', e => { window.presses += e.detail > 0 }, true)"
        )

    @property
    def clicks(self):
        return self.page.evaluate("window.presses")

    @property
    def seconds(self):
        return time.monotonic() - self.began

    def shot(self, words):
        """Take a screenshot."""
        caption = f"{len(self.shots) + 1}. {words} ({self.seconds:.0f} s)"
        # What moves has come to rest then.
        self.page.wait_for_timeout(250)
        self.shots.append((caption, Image.open(io.BytesIO(self.page.screenshot()))))

    def save(self):
        """Write the strip as one picture, and return its path."""
        scale = WIDTH / self.shots[0][1].width
        height = CAPTION + max(round(image.height * scale) for _, image in self.shots)
        rows = -(-len(self.shots) // ACROSS)
        strip = Image.new("RGB", (ACROSS * WIDTH, rows * height), "white")
        font = ImageFont.load_default(16)
        for place, (caption, image) in enumerate(self.shots):
            left, top = place % ACROSS * WIDTH, place // ACROSS * height
            size = round(image.width * scale), round(image.height * scale)
            strip.paste(image.convert("RGB").resize(size, Image.Resampling.LANCZOS), (left, top))
            where = left + 8, top + height - CAPTION + 2
            ImageDraw.Draw(strip).text(where, caption, "black", font)
        path = Path(self.folder, f"{self.name}.webp")
        path.parent.mkdir(parents=True, exist_ok=True)
        strip.save(path, quality=85)
        return path
