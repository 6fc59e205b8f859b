"""The cloud-side process part that accepts agents and joins streams. No truth lives here."""
