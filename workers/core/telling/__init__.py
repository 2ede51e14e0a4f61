"""Telling others that a group or a wave has settled, so that nobody has to poll."""
