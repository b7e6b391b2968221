"""Rules on measurements and the verdicts they give."""
