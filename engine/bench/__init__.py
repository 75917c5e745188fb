"""What the engine takes in time, memory and quality, held against the library and other peers by turns."""
