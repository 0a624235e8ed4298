"""The demo: half a year of a real retailer, played through real services, with a self-check at the end."""
