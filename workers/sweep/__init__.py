"""Use case: look after runs that do not come to their end by themselves. Only ports, no AWS words."""
