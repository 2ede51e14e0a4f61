"""From observed and desired to steps. Pure: no I/O here, ever."""
