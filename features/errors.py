"""Errors of reading features.

FeaturesError
├── ServiceAddressError           a URL is malformed, or its credentials are refused; change the settings
├── CacheUnavailableError         the cache cannot be reached now; continue without it
└── WarehouseError
    ├── WarehouseUnavailableError the warehouse cannot be reached now; retry
    ├── WarehouseLayoutError      the table, a column or a permission is wrong; an operator must act
    └── WarehouseRowError         the server fails on a row of the batch; the batch can be read without that row
"""

from __future__ import annotations


class FeaturesError(Exception):
    """Base of all errors of this package."""


class ServiceAddressError(FeaturesError):
    """The URL of the cache or of the warehouse is malformed, or its credentials are refused."""


class CacheUnavailableError(FeaturesError):
    """The cache cannot be reached now, or refused the command."""


class WarehouseError(FeaturesError):
    """The warehouse could not be read."""


class UnknownWarehouseCustomerError(WarehouseError):
    """The warehouse has no row of a customer."""


class WarehouseUnavailableError(WarehouseError):
    """The warehouse cannot be reached now, or did not answer in time; retry."""


class WarehouseLayoutError(WarehouseError):
    """The warehouse's table or a column is missing, or may not be read; a retry does not help."""


class WarehouseRowError(WarehouseError):
    """The server fails on a value of a row, for example on a division by zero in the view."""
