# The four programs of the top floor.
