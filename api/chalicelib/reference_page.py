"""The API as a page for people, built from the OpenAPI document: calls, bodies, and an example.

The style sheet is a file of the site: the policy of the API's answers allows no other style.
"""

import html
from collections.abc import Iterator, Mapping
from typing import Any

from chalicelib.step_schemas import is_of_an_operation

STYLE = "/reference.css"

# Needs bash, curl and jq. The test of this page runs it.
EXAMPLE = """\
API=${API:-https://your.site/api}
IMAGE=${IMAGE:-in.png}
json=(-sS --fail-with-body -H 'Content-Type: application/json')
batch=$(jq -n --arg name "$(basename "$IMAGE")" --argjson bytes "$(wc -c < "$IMAGE")" \\
  '{steps: [{operation: "gaussian", sigma: 2}], images: [{name: $name, bytes: $bytes}]}' \\
  | curl "${json[@]}" -d @- "$API/batches")
job=$(jq -r '"\\(.batch)/jobs/\\(.jobs[0].job)"' <<< "$batch")
mapfile -t form < <(jq -r '.jobs[0].upload.fields | to_entries[] | "-F", "\\(.key)=\\(.value)"' \\
  <<< "$batch")
url=$(jq -r '.jobs[0].upload.url' <<< "$batch")
curl -sS --fail-with-body "${form[@]}" -F "file=@$IMAGE" "$url"
view=$(curl "${json[@]}" -X POST "$API/batches/$job/uploaded")
while [[ $(jq -r .state <<< "$view") =~ ^(joining|queued|running)$ ]]; do
  sleep 1
  view=$(curl "${json[@]}" "$API/batches/$job")
done
jq -r '.state, .reason' <<< "$view"
curl -sS --fail-with-body -o "${OUT:-out.png}" "${API%/api}$(jq -r .result.url <<< "$view")"
"""


def page(document: Mapping[str, Any]) -> str:
    """Build the page.

    Parameters
    ----------
    document : mapping
        From `contract.document`.

    Returns
    -------
    str
        HTML, without scripts.
    """
    title = html.escape(document["info"]["title"])
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>API: {title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<link rel="stylesheet" href="{STYLE}"></head><body><main>',
        f"<h1>API of {title}</h1>",
        f"<p>{html.escape(document['info']['description'])}</p>",
        '<p>All calls lie under <code>/api</code>. <a href="/api/openapi.json">The OpenAPI '
        'document</a> says the same to programs, <a href="/api/operations">the catalogue</a> lists '
        "operations and their parameters. Errors are problem details (RFC 9457), whose "
        '<code>detail</code> is one sentence. <a href="/">The site</a> copies every recipe as '
        "such a script.</p>",
        "<h2>An image from file to file</h2>",
        f"<pre><code>{html.escape(EXAMPLE)}</code></pre>",
        "<h2>Calls</h2>",
        *(call for path, calls in document["paths"].items() for call in of_path(path, calls)),
        "<h2>Bodies</h2>",
        *of_schemas(document["components"]["schemas"]),
        "</main></body></html>",
    ]
    return "\n".join(parts)


def of_path(path: str, calls: Mapping[str, Any]) -> Iterator[str]:
    """Yield a section for each call of a path."""
    for method, call in calls.items():
        yield f'<section id="{html.escape(call["operationId"])}">'
        yield f"<h3><code>{method.upper()} {html.escape(path)}</code></h3>"
        yield f"<p>{html.escape(call['summary'])}.</p>"
        rows = [
            (each["name"], f"in the {each['in']}", each.get("description", ""))
            for each in call.get("parameters", ())
        ]
        if "requestBody" in call:
            rows.append(("Body", link_to(call["requestBody"]), ""))
        for status, answer in call["responses"].items():
            if status != "default":
                rows.append((f"Answer {status}", link_to(answer), ""))
        yield table(rows)
        yield "</section>"


def of_schemas(schemas: Mapping[str, Any]) -> Iterator[str]:
    """Yield a section for each body; operations are in the catalogue."""
    for name, schema in schemas.items():
        if is_of_an_operation(name) or name == "Step":
            continue
        yield f'<section id="{html.escape(name)}"><h3>{html.escape(name)}</h3>'
        if "description" in schema:
            yield f"<p>{html.escape(schema['description'])}</p>"
        needed = schema.get("required", ())
        rows = [
            (
                member if member in needed else f"{member} (optional)",
                kind_of(each),
                each.get("description", ""),
            )
            for member, each in schema.get("properties", {}).items()
        ]
        yield table(rows) if rows else f"<p>{kind_of(schema)}</p>"
        yield "</section>"


def table(rows: list[tuple[str, str, str]]) -> str:
    """Build a table of names, kinds (HTML) and what they mean."""
    lines = [
        f"<tr><th scope=row><code>{html.escape(name)}</code></th><td>{kind}</td>"
        f"<td>{html.escape(meaning)}</td></tr>"
        for name, kind, meaning in rows
    ]
    return f"<table>{''.join(lines)}</table>" if lines else ""


def link_to(part: Mapping[str, Any]) -> str:
    """Return the kind of a request's or an answer's body as HTML."""
    for content in part.get("content", {}).values():
        return kind_of(content["schema"])
    return "no body"


def kind_of(schema: Mapping[str, Any]) -> str:
    """Return the kind of a schema as HTML: a link to a body, a type, or the values it may have."""
    if "$ref" in schema:
        name = html.escape(schema["$ref"].rpartition("/")[2])
        return name if name == "Step" else f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(kind_of(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(
            f"<code>{html.escape(str(each) or '(empty)')}</code>" for each in schema["enum"]
        )
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    kind = schema.get("type", "any value")
    return html.escape(" or ".join(kind) if isinstance(kind, list) else str(kind))
