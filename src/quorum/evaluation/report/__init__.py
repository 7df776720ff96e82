"""Draw the report's charts and render its page."""
