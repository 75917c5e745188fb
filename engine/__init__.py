"""The drafting engine: a block-diffusion language model, from the text around the caret to paragraphs."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read while a library is imported: nothing may reach for the network
