"""The provider's methods, a file for each family; each registers itself by its paths."""
