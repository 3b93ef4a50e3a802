"""What the API tells of jobs with several results."""

import json
from dataclasses import replace

import pytest
from chalicelib import batch_view, job_view

from config.contract import resources
from config.contract.job import Message
from config.contract.results import Result, to_text


def test_all_results_are_listed_in_the_order_of_the_steps(api):
    batch, (job,) = api.queued()
    key = resources.result_key(batch, job, 1, "tif")
    table = resources.further_result_key(batch, job, 1, "cells", "csv")
    results = [
        Result("4", "label", "image", key, "a.tif", "image/tiff", 9, image_kind="labels"),
        Result("cells", "regionprops_table", "table", table, "a_cells.csv", "text/csv", 20, 2),
    ]
    columns = ("label", ""), ("area", "px²")
    results[1] = replace(results[1], columns=columns, pixel_size=(1e-6, 2e-6))
    api.write(batch, job, state="succeeded", result_key=key, results=to_text(results))
    _, found = api.get(f"/batches/{batch}/jobs/{job}")
    assert found["results"] == [
        {
            "id": "4",
            "operation": "label",
            "kind": "image",
            "address": f"/{key}",
            "name": "a.tif",
            "type": "image/tiff",
            "bytes": 9,
            "image_kind": "labels",
        },
        {
            "id": "cells",
            "operation": "regionprops_table",
            "kind": "table",
            "address": f"/{resources.results_prefix(batch, job)}1/results/cells.csv",
            "name": "a_cells.csv",
            "type": "text/csv",
            "bytes": 20,
            "rows": 2,
            "columns": [{"name": "label", "unit": ""}, {"name": "area", "unit": "px²"}],
            "pixel_size": [1e-6, 2e-6],
        },
    ]
    assert batch not in json.dumps(found["results"])


def test_a_job_of_an_older_worker_lists_no_results(api):
    batch, (job,) = api.queued()
    key = resources.result_key(batch, job, 1, "png")
    api.write(batch, job, state="succeeded", result_key=key, result_name="a.png")
    _, found = api.get(f"/batches/{batch}/jobs/{job}")
    assert (found["results"], found["result"]["name"]) == ([], "a.png")


def test_a_page_of_jobs_with_many_columns_fits_into_an_answer(api, monkeypatch):
    batch, jobs = api.queued("a.png", "b.png", "c.png")
    table = Result("t", "regionprops_table", "table", "k", "t.csv", "text/csv", 1)
    table = replace(table, columns=(("area", "px²"),) * 40)
    for job in jobs:
        api.write(batch, job, results=to_text([table]))
    monkeypatch.setattr(batch_view, "RESULTS_CHARACTERS_MAX", 2 * len(to_text([table])))
    _, page = api.get(f"/batches/{batch}")
    assert (len(page["jobs"]), page["more"]) == (2, True)
    monkeypatch.setattr(batch_view, "RESULTS_CHARACTERS_MAX", 1)
    _, rest = api.get(f"/batches/{batch}?since={page['cursor']}")
    assert (len(rest["jobs"]), rest["more"]) == (1, False)
    assert {each["job"] for each in (*page["jobs"], *rest["jobs"])} == set(jobs)


@pytest.mark.parametrize(
    ("steps", "version"),
    [
        ([{"operation": "sobel", "mask": None}], 1),
        ([{"operation": "sobel", "mask": "original"}], 2),
        ([{"operation": "label"}, {"operation": "regionprops_table"}], 2),
    ],
)
def test_a_message_says_whether_its_recipe_is_a_chain(api, queues, steps, version):
    batch, (job,) = api.queued(steps=steps)
    more = {"images": [{"name": "b.png", "bytes": 100, "type": "image/png"}]}
    _, added = api.post(f"/batches/{batch}/jobs", more)
    assert queues.take() == [Message(batch, job, 1, version)]
    assert api.row(batch, added["jobs"][0]["job"]).version == version


def test_hosts_are_numbered_and_not_named(api):
    batch, (job,) = api.queued()
    row = replace(api.row(batch, job), hosts={"node-7": (2, 3), "node-9": (0, 1)})
    assert job_view.view(row)["hosts"] == {"host 1": [0, 1], "host 2": [2, 3]}
