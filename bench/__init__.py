"""The harness that compares Aditus with its peers: `make bench`. README.md in this folder has the method."""
