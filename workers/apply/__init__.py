"""Use case: bring one source server to its effective launch config. Only ports, no AWS words."""
