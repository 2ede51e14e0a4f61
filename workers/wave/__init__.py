"""Use case: start the recovery of a wave. Only ports, no AWS words."""
