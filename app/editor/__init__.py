"""The page: the text widget and the draft that develops inside it."""
