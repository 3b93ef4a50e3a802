"""Bodies of requests and answers, as JSON Schema: the components of the OpenAPI document.

Request bodies are checked against the same schemas. They use only keywords that mean the same in
draft 7, which the validator reads, and in draft 2020-12, which OpenAPI 3.1 uses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.images import TYPES
from chalicelib.preview_schemas import (
    COLUMNS,
    IMAGE_KIND,
    PREVIEW,
    STEP_OF_RESULT,
    new_preview,
)
from chalicelib.schema_parts import (
    BATCH_ID,
    JOB_ID,
    MOMENT,
    SIZE,
    TEXT,
    Schema,
    record,
    reference,
)
from chalicelib.step_schemas import steps
from config.contract import resources
from config.contract.job import STATES
from config.contract.reading import OPTIONS
from config.contract.resources import LANES
from config.contract.settings import ApiSettings
from config.contract.writing import OPTIONS as WRITING
from config.contract.writing import RESULT_FORMATS

# Other images that the steps of a batch may read.
INPUTS_MAX = 10

# Jobs that one answer about a batch lists, by default and at most.
PAGE_DEFAULT = 100
PAGE_MAX = 500


@dataclass(frozen=True)
class Limits:
    """The limits that show in the schemas; the defaults are those of the settings."""

    request_jobs_max: int = ApiSettings.request_jobs_max
    steps_max: int = ApiSettings.steps_max
    upload_bytes_max: int = ApiSettings.upload_bytes_max
    streamed_bytes_max: int = ApiSettings.streamed_bytes_max

    @classmethod
    def of(cls, settings: ApiSettings) -> "Limits":
        """Return the limits of the settings."""
        sizes = settings.upload_bytes_max, settings.streamed_bytes_max
        return cls(settings.request_jobs_max, settings.steps_max, *sizes)


def components(catalogue: Mapping[str, Any], limits: Limits) -> dict[str, Schema]:
    """Build all schemas by name."""
    return {**requests(limits), **steps(catalogue, limits.steps_max), **ANSWERS}


def requests(limits: Limits) -> dict[str, Schema]:
    """Build the schemas of request bodies."""
    images = {
        "type": "array",
        "items": reference("Image"),
        "minItems": 1,
        "maxItems": limits.request_jobs_max,
    }
    return {
        "Image": image(limits),
        "NewBatch": record(
            {
                "steps": reference("Steps"),
                "format": reference("Format"),
                "depth": reference("Depth"),
                "metadata": reference("Metadata"),
                "quality": reference("Quality"),
                "read": reference("Reading"),
                "write": reference("Writing"),
                "across": reference("Across"),
                "inputs": INPUTS,
                "images": images,
            },
            optional=(
                "format",
                "depth",
                "metadata",
                "quality",
                "read",
                "write",
                "across",
                "inputs",
            ),
        ),
        "MoreImages": record({"images": images}),
        "PartNumbers": record(
            {
                "parts": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 1, "maximum": 10_000},
                    "minItems": 1,
                    "maxItems": 100,
                    "description": "Numbers of the parts to send next, from 1.",
                }
            }
        ),
        "NewPreview": new_preview(),
        "Across": {
            "type": "string",
            "enum": ["plane", "stack"],
            "description": "What the statistics of a file of several planes are of: each plane, "
            "the default, or the whole stack; then all steps must be statistics, or treat each "
            "pixel by itself.",
        },
        "Writing": {
            **record(WRITING, optional=tuple(WRITING)),
            "description": "How results are written; by default as their format usually is. What "
            "is not for the format of a result is refused; under format `same`, it is ignored.",
        },
        "Reading": {
            **record(OPTIONS, optional=tuple(OPTIONS)),
            "description": "How files are read; what is left out is as each file says.",
        },
        "Format": {
            "type": "string",
            "enum": list(RESULT_FORMATS),
            "description": "Of the results; `same` is the default: the format of the original, or "
            "one that can hold the result. `zarr` is an OME-Zarr in a zip file.",
        },
        "Depth": {
            "type": "string",
            "enum": ["input", "native"],
            "description": "`input`, the default: results in the bit depth of the original. "
            "`native`: the types and values of scikit-image.",
        },
        "Metadata": {
            "type": "string",
            "enum": ["keep", "strip"],
            "description": "`keep`, the default: results carry what the original carries and is "
            "still true. `strip`: only what a picture needs to look as it does.",
        },
        "Quality": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100,
            "description": "Of results with loss, from the smallest file to the closest one. "
            "Default: JPEG as the original, or 95 if that was no JPEG; AVIF 90; WebP without loss. "
            "Under `same`, results without loss ignore it; `png` and `tiff` refuse it.",
        },
    }


def image(limits: Limits) -> Schema:
    """Build the schema of an image in a request."""
    made = record(
        {
            "name": {
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "pattern": "^[^\\x00-\\x1f\\x7f]+$",
                "description": "The file's name, for people; it need not be unique.",
            },
            "bytes": {
                "type": "integer",
                "minimum": 1,
                "maximum": max(limits.upload_bytes_max, limits.streamed_bytes_max),
                "description": "The file's exact size. At most "
                f"{limits.upload_bytes_max:,} bytes; a TIFF may have more, up to the maximum.",
            },
            "type": {
                "type": "string",
                "enum": [*TYPES, ""],
                "description": "Content type, or empty if unknown; the first bytes decide.",
            },
            "source": {
                **record({"batch": BATCH_ID, "job": JOB_ID}),
                "description": "A job whose file is used again: nothing needs to be sent, only "
                "`uploaded` be called.",
            },
            "reuse": {
                **record({"batch": BATCH_ID, "job": JOB_ID}),
                "description": "The same as `source`; an image has one of the two at most.",
            },
        },
        optional=("type", "source", "reuse"),
    )
    return made | {"not": {"required": ["source", "reuse"]}}


INPUTS: Schema = {
    "type": "object",
    "additionalProperties": record({"batch": BATCH_ID, "job": JOB_ID}),
    "maxProperties": INPUTS_MAX,
    "description": "Other images that steps read as `input:NAME`, by their names: jobs whose files "
    "were accepted before. The file is read when a job is done, so its batch must be kept as long. "
    "Together they may be as large as one upload.",
}

COUNTS: Schema = {
    "type": "object",
    "description": "How many jobs are in each state.",
    "properties": dict.fromkeys(STATES, SIZE),
}

ORDER: Schema = {
    "type": "string",
    "enum": ["", "retry", "cancel", "delete"],
    "description": "What was ordered for the whole batch and is still being carried out.",
}

ANSWERS: dict[str, Schema] = {
    "UploadForm": record(
        {
            "url": {"type": "string", "format": "uri"},
            "fields": {
                "type": "object",
                "additionalProperties": TEXT,
                "description": "Send these first, as multipart/form-data, then `file`.",
            },
            "expires": MOMENT,
        }
    ),
    "Upload": record({"upload": reference("UploadForm")}),
    "Job": record(
        {
            "job": JOB_ID,
            "name": TEXT,
            "state": {"type": "string", "enum": list(STATES)},
            "tiles": record({"done": SIZE, "total": SIZE}),
            "left": {
                **SIZE,
                "description": "Milliseconds that its computation was estimated to take still when "
                "it last changed; 0 where nobody knows.",
            },
            "lane": {"type": "string", "enum": list(LANES)},
            "ticket": {
                **SIZE,
                "description": "Number in its lane; less `served` of the lane, it tells about how "
                "many images are ahead. 0 where it has none.",
            },
            "attempt": {**SIZE, "description": "How often work on it began."},
            "reason": {**TEXT, "description": "Why it failed, in one sentence."},
            "cause": {
                "type": "string",
                "enum": ["", "rejected", "broken"],
                "description": "Whose fault it is: the image's or request's, or the app's.",
            },
            "notes": {"type": "array", "items": TEXT},
            "versions": {
                "type": "object",
                "additionalProperties": TEXT,
                "description": "What made the result: the app, scikit-image and numpy.",
            },
            "hosts": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": SIZE},
                "description": "The ranks of each host, if several worked on the image, by "
                '"host 1", "host 2" and so on; empty if one did.',
            },
            "changed": MOMENT,
            "created": MOMENT,
            "started": MOMENT,
            "finished": MOMENT,
            "rows": SIZE,
            "columns": SIZE,
            "bytes": SIZE,
            "type": TEXT,
            "result": {"anyOf": [reference("Result"), {"type": "null"}]},
            "results": {
                "type": "array",
                "items": reference("JobResult"),
                "description": "All its results in the order of the steps: the last image, which "
                "`result` tells more about, kept images, and tables.",
            },
            "views": reference("Views"),
            "upload": reference("UploadForm"),
        },
        optional=("upload",),
    ),
    "Result": record(
        {
            "url": {**TEXT, "description": "Path on the site's own origin."},
            "name": TEXT,
            "type": TEXT,
            "bytes": SIZE,
            "rows": SIZE,
            "columns": SIZE,
        }
    ),
    "JobResult": record(
        {
            "id": STEP_OF_RESULT,
            "operation": {
                **TEXT,
                "description": "Name of the operation; empty for the image itself.",
            },
            "kind": {"type": "string", "enum": ["image", "table"]},
            "address": {**TEXT, "description": "Path on the site's own origin."},
            "name": {**TEXT, "description": "Name of the file that is saved."},
            "type": {**TEXT, "description": "Media type; a table is `text/csv`."},
            "bytes": SIZE,
            "rows": {**SIZE, "description": "Of a table, without the line of names."},
            "columns": COLUMNS,
            "pixel_size": {
                "type": "array",
                "items": {"type": "number"},
                "description": "Height and width in metres of the pixels that a table measures, "
                "if the file says it: a length in `px` or an area in `px²` times these.",
            },
            "image_kind": IMAGE_KIND,
        },
        optional=("rows", "columns", "pixel_size", "image_kind"),
    ),
    "Views": {
        **record(
            {
                "original": {"anyOf": [reference("View"), {"type": "null"}]},
                "result": {"anyOf": [reference("View"), {"type": "null"}]},
                "until": {
                    **MOMENT,
                    "description": "Pictures on their way come by then, else never; 0 if none is.",
                },
            }
        ),
        "description": "Pictures of what browsers do not show well by themselves; they come after "
        "the result.",
    },
    "View": record(
        {
            "url": {**TEXT, "description": "Path on the site's own origin."},
            "type": {
                "type": "string",
                "enum": list(resources.VIEW_TYPES.values()),
                "description": "A whole picture; of a large image, one file of JPEG tiles at "
                "every zoom and of the values; of a smaller one with more than 8 bits, the values. "
                "Both are read by ranges; cluster_worker/imagefiles/codecs has their layout.",
            },
            "dtype": {
                **TEXT,
                "description": "Of the image's own pixels; but for bool and uint8 the contrast of "
                "tiles is stretched.",
            },
        }
    ),
    "SignedParts": record(
        {
            "part_bytes": {**SIZE, "description": "Of every part but the last."},
            "parts": {
                "type": "array",
                "items": record(
                    {
                        "part": SIZE,
                        "bytes": SIZE,
                        "url": {**TEXT, "description": "PUT exactly these bytes there."},
                        "expires": MOMENT,
                    }
                ),
            },
        }
    ),
    "ArrivedParts": record({"part_bytes": SIZE, "arrived": {"type": "array", "items": SIZE}}),
    "Preview": PREVIEW,
    "Jobs": record({"jobs": {"type": "array", "items": reference("Job")}}),
    "BatchCreated": record(
        {
            "batch": BATCH_ID,
            "kept_until": MOMENT,
            "notice": {**TEXT, "description": "What to know meanwhile, in words; mostly empty."},
            "estimate_usd": {
                "type": ["number", "null"],
                "description": "An estimate of what these images cost, where prices are known.",
            },
            "jobs": {"type": "array", "items": reference("Job")},
        }
    ),
    "BatchOrder": record({"batch": BATCH_ID, "order": ORDER}),
    "Batch": record(
        {
            "batch": BATCH_ID,
            "steps": reference("Steps"),
            "format": reference("Format"),
            "depth": reference("Depth"),
            "metadata": reference("Metadata"),
            "quality": {
                "type": ["integer", "null"],
                "description": "Of results with loss; null for the usual one of each format.",
            },
            "read": reference("Reading"),
            "write": reference("Writing"),
            "across": reference("Across"),
            "inputs": {
                "type": "object",
                "additionalProperties": record({"name": TEXT, "bytes": SIZE}),
                "description": "Other images that its steps read: name and size of each file.",
            },
            "created": MOMENT,
            "kept_until": MOMENT,
            "order": ORDER,
            "counts": COUNTS,
            "line": record(
                {
                    "workers": {
                        **SIZE,
                        "description": "Nodes that work; 0 also while nothing waits for one.",
                    },
                    "start_seconds": {
                        **SIZE,
                        "description": "About how long a node takes to start, while the first one "
                        "is started; else 0.",
                    },
                    "served": {
                        "type": "object",
                        "properties": dict.fromkeys(LANES, SIZE),
                        "description": "The highest ticket that a node took, for each lane.",
                    },
                }
            ),
            "jobs": {"type": "array", "items": reference("Job")},
            "cursor": {**TEXT, "description": "Pass it as `since` to get what changes next."},
            "more": {"type": "boolean", "description": "Whether to ask again at once."},
        }
    ),
    "Catalogue": {
        "type": "object",
        "properties": {
            "version": {"type": "integer"},
            "operations": {"type": "array", "items": {"type": "object"}},
            "writing": {
                "type": "object",
                "description": "How results can be written: each option as JSON Schema, with the "
                "formats that it is for.",
                "additionalProperties": {"type": "object"},
            },
            "limits": {
                "type": "object",
                "description": "What this installation accepts.",
                "properties": dict.fromkeys(
                    (
                        "upload_bytes_max",
                        "streamed_bytes_max",
                        "batch_jobs_max",
                        "request_jobs_max",
                        "steps_max",
                    ),
                    SIZE,
                ),
            },
        },
        "required": ["version", "operations", "writing", "limits"],
    },
    "Health": record(dict.fromkeys(("status", "broker", "table", "bucket"), TEXT)),
    "Problem": {
        "type": "object",
        "description": "RFC 9457.",
        "properties": {
            "type": TEXT,
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": {**TEXT, "description": "One sentence for people."},
            "pointer": {**TEXT, "description": "JSON pointer into the request's body."},
            "errors": {
                "type": "array",
                "items": record({"detail": TEXT, "pointer": TEXT}),
                "description": "Every image at fault, where several may be.",
            },
        },
        "required": ["type", "title", "status", "detail"],
    },
}
