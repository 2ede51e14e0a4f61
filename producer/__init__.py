"""The doors: a request is checked, opens a generation, sends jobs; reads are answered."""
