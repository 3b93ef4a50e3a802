"""What the routes call: batches, jobs, uploads, the queue and the sweep."""
