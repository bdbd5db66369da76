SELECT count() FROM links
