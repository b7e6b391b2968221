"""Where prompts and reference recordings come from."""
