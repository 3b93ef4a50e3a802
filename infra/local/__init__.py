"""The whole app on one machine: `python -m infra.local`.

RabbitMQ, moto's S3 and DynamoDB, the Chalice app, one worker and a front run as one process each.
Each process has a guard; one supervisor watches them all. All ports are on the loopback interface.
"""
