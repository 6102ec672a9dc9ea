"""Reports: an analysis or an audit in, text or JSON out. Nothing here decides anything."""
