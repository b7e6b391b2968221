"""Plain data: what is asked for, what was made, what was measured."""
