"""Where the app runs: on one machine (`infra.local`)."""
