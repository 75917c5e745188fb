"""The desktop application: a page to write on, and paragraphs that develop in it."""
