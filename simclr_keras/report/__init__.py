"""Makes web pages about runs, charts, and pictures of views and neighbours."""
