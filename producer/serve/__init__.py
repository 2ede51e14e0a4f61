"""
`prelaunch serve`: the local stack, kept running until it is told to end.

    run       starts everything, looks after it, ends it in order
    keeper    a process that ends is started anew; one that ends at once again and again is given up
    logs      what of the processes' logs a person has to see
    groups    the groups that are there from the start
"""
