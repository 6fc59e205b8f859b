"""One module per page, or per noun: what is read for it, and what its forms do."""
