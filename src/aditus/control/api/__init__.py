"""The control plane over HTTP: routes, bodies, and errors as problem+json."""
