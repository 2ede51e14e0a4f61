"""What a user wants and what it means. Pure: no I/O here, ever."""
