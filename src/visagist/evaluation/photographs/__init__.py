"""Edits of photographs as a person gets them: faces laid into photographs, found, edited, pasted back, cut out, judged."""
