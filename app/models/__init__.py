"""The models on this machine: downloading, importing, listing and removing them."""
