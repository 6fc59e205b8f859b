"""From files, environment and options to the settings dataclasses of the rooms."""
