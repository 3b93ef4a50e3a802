import json
import re
from copy import deepcopy

import fastjsonschema
import pytest
from app import app
from chalicelib import contract
from chalicelib.calls import CALLS
from chalicelib.schemas import Limits
from openapi_spec_validator import OpenAPIV31SpecValidator

from config.contract.results import Result, to_text
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
    committed = contract.COMMITTED_FILE.read_text()
    fresh = contract.lines(contract.without_operations(document)) + "\n"
    assert committed == fresh, "run: make generate"


def test_the_committed_contract_is_short_enough_to_review(document):
    committed = json.loads(contract.COMMITTED_FILE.read_text())
    assert committed == contract.without_operations(document)
    assert len(contract.COMMITTED_FILE.read_text().splitlines()) < 1500
    OpenAPIV31SpecValidator(committed).validate()


def test_the_whole_document_is_written_beside_the_catalogue(document, monkeypatch, tmp_path):
    monkeypatch.setattr(contract, "FILE", tmp_path / "openapi.json")
    monkeypatch.setattr(contract, "COMMITTED_FILE", tmp_path / "api-contract.json")
    contract.write_both()
    assert json.loads((tmp_path / "openapi.json").read_text()) == document
    assert json.loads((tmp_path / "api-contract.json").read_text()) != document


def test_the_document_is_built_at_run_time(api, document, monkeypatch, tmp_path):
    monkeypatch.setattr(contract, "FILE", tmp_path / "absent.json")
    assert api.get("/openapi.json")[1] == document


def test_every_call_is_declared_once_and_has_its_route():
    declared = {(call.path, call.method): call.name for call in CALLS.values()}
    served = {
        (path, method): entry.view_name
        for path, by_method in app.routes.items()
        for method, entry in by_method.items()
    }
    assert served == declared
    assert len(declared) == len(CALLS)


def test_names_of_calls_are_those_that_clients_know(document):
    made = {
        operation["operationId"]
        for path in document["paths"].values()
        for operation in path.values()
    }
    assert {"listOperations", "createBatch", "completeUpload", "getContract"} <= made
    assert len(made) == len(CALLS)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_a_call_takes_and_answers_is_a_component_of_the_document(document, call):
    named = {each for each in (*call.answers.values(), call.body) if isinstance(each, str) and each}
    assert named <= document["components"]["schemas"].keys()


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
    table = Result("3", "count", "table", "k", "a.csv", "text/csv", 9, 2, (("area", "px²"),))
    results = to_text([Result("2", "invert", "image", "k", "a.png", "image/png", 9), table])
    given = {"result_name": "a.png", "result_type": "image/png", "result_bytes": 9}
    api.end(batch, job, **given, results=results)
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
        | dict.fromkeys(each.get("inputs", ()), "original")
        # Every image is read by the next step or kept, and all tables have names of their own.
        | {"id": f"step-{number}"}
        | ({"keep": True} if each["gives"] == "image" else {})
        for number, each in enumerate(catalogue["operations"])
    ]
    for start in range(0, len(chain), 20):
        body = {"steps": chain[start : start + 20], "images": [{"name": "a", "bytes": 1}]}
        assert api.post("/batches", body)[0] == 201


def test_the_page_for_people_names_every_call_and_body_and_runs_no_script(api, document):
    answer = api.http.request("GET", "/", {}, b"")
    assert answer.status_code == 200
    page = answer.body.decode()
    for path, calls in document["paths"].items():
        for method in calls:
            assert f"<code>{method.upper()} {path}</code>" in page
    linked = set(re.findall(r'href="#(\w+)"', page))
    assert linked <= set(re.findall(r'id="(\w+)"', page))
    assert {"NewBatch", "Job", "Preview"} <= linked
    assert "<script" not in page
