"""Where the app runs: on AWS, on one machine (`infra.local`), or on a server (`infra.server`)."""
