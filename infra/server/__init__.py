"""API and site on a machine of one's own, for a group without AWS: `python -m infra.server`.

waitress runs the Chalice app and limits the size of bodies and the number of threads. The app's
schedules run in the same process. The front of `make run` serves API, site and results under one
origin. The endpoints of S3, DynamoDB and the broker are settings.
"""
