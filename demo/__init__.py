"""The main job, end to end, on a real PostgreSQL, and the parts of it that tests use too."""
