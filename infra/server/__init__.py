"""API and site on a machine of one's own, for a group without AWS: `python -m infra.server`.

The Chalice app runs behind waitress, which bounds bodies and threads; its schedules run beside it;
the front that `make run` uses joins both with the site and the results under one origin. Where S3,
DynamoDB and the broker are, settings say.
"""
