"""The demo: half a year of a real retailer, played through real services and checked at the end."""
