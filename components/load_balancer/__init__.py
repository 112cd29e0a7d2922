"""nginx, which is the registry's one name and the object store's one endpoint, and its virtual address."""
