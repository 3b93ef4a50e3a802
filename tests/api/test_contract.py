import json
from copy import deepcopy

import fastjsonschema
import pytest
from chalicelib import contract
from chalicelib.schemas import Limits
from openapi_spec_validator import OpenAPIV31SpecValidator

from config.contract.settings import TOP


@pytest.fixture(scope="module")
def document():
    catalogue = json.loads((TOP / "config" / "contract" / "catalogue.json").read_text())
    return contract.document(catalogue, Limits())


@pytest.fixture
def fits(document):
    """Check an answer against a component of the contract."""

    def check(name, answer):
        schemas = deepcopy(document["components"])
        root = {"$ref": f"#/components/schemas/{name}", "components": schemas}
        fastjsonschema.validate(root, answer, use_default=False)

    return check


def test_the_contract_is_valid(document):
    OpenAPIV31SpecValidator(document).validate()


def test_the_committed_contract_is_fresh(document):
    committed = json.loads(contract.FILE.read_text())
    assert committed == document, "run: PYTHONPATH=.:api python -m chalicelib.contract"


def test_answers_are_as_the_contract_says(api, fits):
    body = {
        "steps": [{"operation": "gaussian", "sigma": 2.5}, {"operation": "invert"}],
        "format": "png",
        "images": [{"name": "a.png", "bytes": 100, "type": "image/png"}],
    }
    _, made = api.post("/batches", body)
    fits("BatchCreated", made)
    batch, job = made["batch"], made["jobs"][0]["job"]
    fits("Jobs", api.post(f"/batches/{batch}/jobs", {"images": body["images"]})[1])
    fits("Upload", api.post(f"/batches/{batch}/jobs/{job}/upload")[1])
    fits("Problem", api.post(f"/batches/{batch}/jobs/{job}/uploaded")[1])
    api.arrive(batch, job)
    fits("Job", api.post(f"/batches/{batch}/jobs/{job}/uploaded")[1])
    api.end(batch, job, result_name="a.png", result_type="image/png", result_bytes=9)
    fits("Job", api.get(f"/batches/{batch}/jobs/{job}")[1])
    fits("Batch", api.get(f"/batches/{batch}")[1])
    fits("Health", api.get("/health")[1])
    fits("Catalogue", api.get("/operations")[1])
    fits("BatchOrder", api.post(f"/batches/{batch}/cancel")[1])
    status, problem = api.post("/batches", {**body, "images": [{"name": "e", "bytes": 0}]})
    assert status == 422
    fits("Problem", problem)


def test_every_operation_is_accepted_with_its_defaults(api, document):
    _, catalogue = api.get("/operations")
    chain = [
        {"operation": each["name"]}
        | {name: value["default"] for name, value in each["parameters"]["properties"].items()}
        for each in catalogue["operations"]
    ]
    for start in range(0, len(chain), 20):
        body = {"steps": chain[start : start + 20], "images": [{"name": "a", "bytes": 1}]}
        assert api.post("/batches", body)[0] == 201
