"""Other images of a batch, by the names under which its steps read them."""

import pytest

from config.contract.job import InputFile

STEPS = [{"operation": "flat_field", "flat": "input:empty"}]
IMAGE = {"name": "a.png", "bytes": 100, "type": "image/png"}
NOWHERE = {"batch": "0" * 32, "job": "0" * 16}


def create(api, inputs, steps=STEPS):
    return api.post("/batches", {"steps": steps, "images": [IMAGE], "inputs": inputs})


def test_a_batch_reads_the_file_of_an_earlier_job(api):
    batch, (job,) = api.queued("empty.png")
    status, made = create(api, {"empty": {"batch": batch, "job": job}})
    assert status == 201
    row = api.row(batch, job)
    (found,) = api.table.batch(made["batch"]).inputs
    assert found == InputFile("input:empty", batch, job, row.etag, "empty.png", 100)
    _, view = api.get(f"/batches/{made['batch']}")
    # The id of a batch may list and delete it, so that it is told to nobody.
    assert view["inputs"] == {"empty": {"name": "empty.png", "bytes": 100}}


def test_a_batch_without_other_images_has_no_inputs(api):
    batch, _ = api.batch()
    assert api.get(f"/batches/{batch}")[1]["inputs"] == {}


@pytest.mark.parametrize(
    ("inputs", "sentence", "pointer"),
    [
        (
            {},
            'steps[0].flat: no input is called "empty"; no inputs are given',
            "/steps/0/flat",
        ),
        (
            {"empty": NOWHERE, "dark": NOWHERE},
            "inputs.dark: no step reads input:dark; leave it out",
            "/inputs/dark",
        ),
        (
            {"emty": NOWHERE},
            'steps[0].flat: no input is called "empty"; the inputs are emty',
            "/steps/0/flat",
        ),
        (
            {"empty": NOWHERE},
            "inputs.empty: the file of this job is not kept, or never was; send it again",
            "/inputs/empty",
        ),
        ([], "inputs: must be an object, got []", "/inputs"),
        ({"empty": {"batch": "0" * 32}}, "inputs.empty: must have job", "/inputs/empty"),
        (
            {"empty": {**NOWHERE, "job": "7"}},
            'inputs.empty.job: must be the id of a job, got "7"',
            "/inputs/empty/job",
        ),
    ],
)
def test_inputs_that_cannot_be_read_are_refused_with_one_sentence(api, inputs, sentence, pointer):
    status, problem = create(api, inputs)
    assert (status, problem["detail"], problem["pointer"]) == (422, sentence, pointer)


def test_a_batch_has_at_most_ten_other_images(api):
    names = [f"i{number}" for number in range(11)]
    steps = [{"operation": "add", "other": f"input:{name}"} for name in names]
    status, problem = create(api, dict.fromkeys(names, NOWHERE), steps)
    assert (status, problem["detail"]) == (422, "inputs: must hold at most 10 images, got 11")


def test_other_images_are_together_no_larger_than_one_upload(api):
    batch, (job,) = api.queued("empty.png")
    api.write(batch, job, bytes=api.services.settings.upload_bytes_max // 2 + 1)
    given = {"batch": batch, "job": job}
    steps = [{"operation": "add", "other": f"input:{name}"} for name in ("one", "two")]
    assert create(api, {"one": given}, steps[:1])[0] == 201
    status, problem = create(api, {"one": given, "two": given}, steps)
    assert (status, problem["pointer"]) == (422, "/inputs")
    assert problem["detail"].startswith("inputs: have 512.0 MiB together; at most 512 MiB are")


def test_a_job_without_a_file_or_of_a_deleted_batch_is_no_input(api):
    batch, (job,) = api.batch("empty.png")
    given = {"empty": {"batch": batch, "job": job}}
    assert create(api, given)[1]["detail"] == (
        "inputs.empty: no file of empty.png was accepted; send one and say that it is uploaded"
    )
    api.http.delete(f"/batches/{batch}")
    status, problem = create(api, given)
    assert status == 422
    assert problem["detail"].startswith("inputs.empty: the file of this job is not kept")
