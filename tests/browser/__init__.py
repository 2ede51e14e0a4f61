"""The browser that the page is tested in: fetched, and run."""
