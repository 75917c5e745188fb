"""The drafting engine: a block-diffusion language model, from the text around the caret to paragraphs."""
