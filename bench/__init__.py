"""Speed and memory beside ``ldapsearch``: ``make bench``. Prints figures and never judges them."""
