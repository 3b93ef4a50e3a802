"""Pictures of the ready-made chains for the page's library: each before and after."""

import json

import numpy as np
from PIL import Image
from skimage import data, draw

from config.contract.presets import presets
from config.contract.settings import TOP
from tests.cluster_worker.engine.test_presets import plants
from tests.cluster_worker.operations.nuclei import nuclei
from tests.documents import GAP, QUALITY, as_rgb, noisy, run_recipe

FOLDER = TOP / "frontend" / "src" / "features" / "recipe" / "pictures"
OWN = TOP / "frontend" / "src" / "presets.json"
# Rows and columns of each half.
SHAPE = (150, 200)
RING = (255, 150, 0)

# What each is shown on: a crop that shows something at this size.
SHOWN_ON = {
    "count": lambda: data.coins()[:150, :200],
    "count_cells": lambda: nuclei(240)[:150, :200],
    "particles": lambda: data.coins()[150:300, 90:290],
    "spots": lambda: data.hubble_deep_field()[300:450, 200:400],
    "plant_area": lambda: plants()[:150],
    "scan": lambda: grained(data.page()[20:170, 60:260]),
    "web": lambda: data.coffee()[:300, 120:520],
    "crisp": lambda: data.chelsea()[60:210, 110:310],
    "shadows": lambda: data.moon()[120:270, 150:350],
    "calm": lambda: noisy(data.chelsea()[60:210, 110:310]),
    "edges": lambda: data.astronaut()[20:170, 130:330],
    "objects": lambda: data.coins()[:150, :200],
    "nuclei": lambda: data.immunohistochemistry()[60:210, 60:260],
    "negative": lambda: data.coffee()[90:240, 230:430],
}
# Where the usual value would show little at this size.
SHOWN_WITH = {"resize_longest_side": {"longest_side": 200}}


def grained(image):
    """Add the grain of a scanner, the same each time."""
    grain = np.random.default_rng(1).normal(0, 10, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def chains():
    """Return the steps of all presets of the page by their ids."""
    own = {each["id"]: each["steps"] for each in json.loads(OWN.read_text())}
    return own | {name: each["steps"] for name, each in presets().items()}


def picture(name):
    """Return the picture of a preset: before at the left, after at the right."""
    image = SHOWN_ON[name]()
    steps = [step | SHOWN_WITH.get(step["operation"], {}) for step in chains()[name]]
    after, tables = run_recipe(image, steps, {})
    before = as_rgb(image if image.dtype == np.uint8 else (image >> 8).astype(np.uint8))
    shown = ringed(before, tables["spots"]) if name == "spots" else as_rgb(after)
    halves = (before, shown)
    both = np.full((SHAPE[0], 2 * SHAPE[1] + GAP, 3), 255, np.uint8)
    for half, left in zip(halves, (0, SHAPE[1] + GAP), strict=True):
        both[:, left : left + SHAPE[1]] = fitted(half)
    return both


def fitted(image):
    """Scale a picture to half of the whole."""
    if image.shape[:2] == SHAPE:
        return image
    scaled = Image.fromarray(image).resize(SHAPE[::-1], Image.Resampling.LANCZOS)
    return np.asarray(scaled)


def ringed(image, table):
    """Draw a ring around each spot of a table."""
    drawn = image.copy()
    for y, x, sigma in zip(table["row"], table["column"], table["sigma"], strict=True):
        radius = max(3, round(1.5 * sigma))
        rows, columns = draw.circle_perimeter(round(y), round(x), radius, shape=image.shape[:2])
        drawn[rows, columns] = RING
    return drawn


def write():
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    for name in chains():
        path = FOLDER / f"{name}.webp"
        Image.fromarray(picture(name)).save(path, quality=QUALITY, method=6)
