"""One module for each family of commands; imported when one of the family is called."""
