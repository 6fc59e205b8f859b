"""Sockets: WebSockets, TLS, the pump between TCP and a stream, the mux that drives a session."""
