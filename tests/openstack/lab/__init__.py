"""A Keystone, Placement, Cinder and Nova on loopback, in one directory."""
