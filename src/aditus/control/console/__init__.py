"""The console: the pages on which people do everything about access keys, in a browser."""
