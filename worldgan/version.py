"""The version of the package, on the ground floor: runs say which one made them."""

VERSION = "0.1.0"
