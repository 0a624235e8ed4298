"""What can go wrong when features are read.

FeaturesError
    ServiceAddressError           a URL cannot be understood; the settings must change
    CacheUnavailableError         the cache cannot be reached now; go on without it
    WarehouseError
        WarehouseUnavailableError the warehouse cannot be reached now; ask again later
        WarehouseLayoutError      the table, a column or a permission is not as it must be; somebody must act
"""

from __future__ import annotations


class FeaturesError(Exception):
    """Anything this package raises on purpose."""


class ServiceAddressError(FeaturesError):
    """The URL of the cache or of the warehouse cannot be understood."""


class CacheUnavailableError(FeaturesError):
    """The cache cannot be reached now, or it refused."""


class WarehouseError(FeaturesError):
    """The warehouse gave no rows."""


class WarehouseUnavailableError(WarehouseError):
    """The warehouse cannot be reached now, or did not answer in time; asking again may help."""


class WarehouseLayoutError(WarehouseError):
    """The warehouse's table is missing, shaped otherwise, or may not be read; asking again does not help."""
