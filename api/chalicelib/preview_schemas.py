"""Bodies of previews, and parts of answers that describe results, as JSON Schema."""

from chalicelib.schema_parts import SIZE, TEXT, Schema, record, reference
from config.contract.references import ORIGINAL

# Characters of base64: a file of 3 MB, such as the photograph of a phone or a slice of DICOM,
# within the limit of a message (`resources.MESSAGE_BYTES_MAX`).
PREVIEW_CONTENT_MAX = 4_000_000

IMAGE_KIND: Schema = {
    **TEXT,
    "description": "What an image is: `picture`, `intensity`, `bands`, `mask` or `labels`.",
}

STEP_OF_RESULT: Schema = {
    **TEXT,
    "description": "The id of its step, or the number of the step, from 1; "
    f"`{ORIGINAL}` for the image itself, if only tables were made of it.",
}

COLUMNS: Schema = {
    "type": "array",
    "items": record(
        {
            "name": TEXT,
            "unit": {
                **TEXT,
                "description": "`px`, `value` for what pixels hold, `unit` for that of the "
                "`spacing` of the step, powers and products of them, `rad`; empty without one.",
            },
        }
    ),
    "description": "Of a table, in the order of the file.",
}

FILE: Schema = {
    **record(
        {
            "kind": IMAGE_KIND,
            "dtype": TEXT,
            "rows": SIZE,
            "columns": SIZE,
            "channels": {**SIZE, "description": "For each pixel, without alpha."},
            "alpha": {"type": "boolean"},
            "names": {"type": "array", "items": TEXT, "description": "Of the channels."},
            "nodata": {"type": ["number", "null"]},
            "pixel_size": {
                "type": ["array", "null"],
                "items": {"type": "number"},
                "description": "Height and width of a pixel in metres.",
            },
            "axes": {
                "type": "array",
                "items": record({"axis": TEXT, "planes": SIZE}),
                "description": "Of a file of several planes: t, c, z, or p for pages.",
            },
        }
    ),
    "type": ["object", "null"],
    "description": "What the file is, if the question says how it is read.",
}

PREVIEW: Schema = record(
    {
        "url": {
            **TEXT,
            "description": "The picture as a data address: a PNG, or the "
            "values of a result that is not of 8 bits (application/x-image-values).",
        },
        "margin": {
            "type": ["integer", "null"],
            "description": "Of a picture that was cut out of a larger one, so many pixels "
            "along the edges may not be as they are there; null if all may be.",
        },
        "image_kind": IMAGE_KIND,
        "tables": {
            "type": "array",
            "items": record(
                {
                    "id": STEP_OF_RESULT,
                    "operation": TEXT,
                    "rows": {**SIZE, "description": "How many rows the table has."},
                    "columns": COLUMNS,
                    "first": {
                        "type": "array",
                        "items": {"type": "array", "items": {"type": ["number", "null"]}},
                        "description": "The first rows; null stands for NaN and infinity.",
                    },
                }
            ),
            "description": "The tables of the steps, measured on this picture: lengths are in "
            "its pixels.",
        },
        "file": FILE,
    }
)


def new_preview() -> Schema:
    """Build the schema of a request for a preview."""
    return record(
        {
            "steps": reference("Steps"),
            "picture": {
                "type": "string",
                "pattern": "^[0-9a-f]{64}$",
                "description": "SHA-256 of the picture's file.",
            },
            "read": reference("Reading"),
            "content": {
                "type": "string",
                "minLength": 0,
                "maxLength": PREVIEW_CONTENT_MAX,
                "description": "The file in base64; may be left out once it was sent, until "
                "the answer is 404.",
            },
        },
        optional=("content", "read"),
    )
