"""The whole app on one machine: `python -m infra.local`.

RabbitMQ, an S3 and a DynamoDB (`store/`), the Chalice app, one worker and a front run as one
process each. Each process has a guard; one supervisor watches them all. All ports are on the
loopback interface.
"""
