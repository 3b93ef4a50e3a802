"""What the routes call: batches, jobs, uploads, the publisher and the sweep."""
