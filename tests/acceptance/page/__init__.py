"""The page, as its readers use it: in a browser, over the API and workers as processes."""
