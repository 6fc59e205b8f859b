"""The typed client of the REST API, as the CLI and the tests use it."""
