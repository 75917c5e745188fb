"""The drafting engine: a block-diffusion language model, from text around the caret to denoised paragraphs."""
