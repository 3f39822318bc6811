"""How labels of pictures lie in files: tables by people and by other programs, and the layouts of known data sets."""
