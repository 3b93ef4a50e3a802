"""Print the catalogue as JSON: `python -m cluster_worker.operations`."""

import json

from cluster_worker.operations import catalogue

print(json.dumps(catalogue(), indent=1, ensure_ascii=False))
