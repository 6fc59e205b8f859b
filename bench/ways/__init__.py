"""The ways to carry a connection that are compared: one module each, and nothing about what is measured."""
