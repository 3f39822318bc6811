"""Where in a photograph the faces are: boxes, five points each, how they are turned."""
