"""
What the demo and `prelaunch serve` run on this machine: a stand-in for AWS, the API and a worker; and their two groups.

    isolation   what could lead to a real account is taken out of the environment
    processes   prelaunch's own commands as processes, and the signals that end whoever started them
    tied        such a process ends with its starter, however that ends
    door        asking the API
    scenario    the two groups, drawn (pure)
    groups      what they need of the stand-in, and where they stand
    sdk         the plain SDK, for whoever is not prelaunch
"""
