"""Use case: find what others changed in DRS and EC2, and have it repaired or reported. Only ports, no AWS words."""
