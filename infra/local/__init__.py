"""The whole app on one machine, on real parts: `python -m infra.local`.

RabbitMQ, moto's S3 and DynamoDB, the Chalice app, one worker and a front run as processes of their
own, each under a guard, all under one supervisor. Nothing listens beyond this machine.
"""
