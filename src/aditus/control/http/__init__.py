"""What the REST API and the console share of HTTP: the cookie of a session, and the limits of who asks."""
