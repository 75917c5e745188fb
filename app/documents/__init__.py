"""The writer's texts: open, save, recover."""
