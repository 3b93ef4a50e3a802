"""S3 and DynamoDB on one machine: objects are files, rows lie in a database file.

`server.py` is the HTTP side, and `signatures.py` checks who asks. `s3.py` answers for `objects.py`,
and `dynamodb.py` for `rows.py`, which evaluates `expressions.py` and `updates.py`. Only what the
app calls is here; any other request is refused with a sentence. All requests are answered on one
thread, so that no two writes of a row meet; only the files of large objects are read on others.
"""
