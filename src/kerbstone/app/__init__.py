"""The command line, web pages and reports: the only room that prints."""
