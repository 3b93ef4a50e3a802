"""S3 and DynamoDB on one machine: objects are files, rows lie in a database file.

`server.py` is the HTTP side, and `signatures.py` checks who asks. `s3.py` and `s3_forms.py` answer
for `objects.py`. `dynamodb.py` answers for `rows.py` and `queries.py`, after `requests.py` has
checked what was sent; `parser.py` reads expressions, `expressions.py` and `updates.py` evaluate
them. Only what the app calls is here; any other request is refused with a sentence. What S3 or
DynamoDB would refuse is refused here too, so that a fault shows before it is deployed. All
requests are answered on one thread, so that no two writes of a row meet; only the files of large
objects are read on others.
"""
