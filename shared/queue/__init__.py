"""Queue 1 and Queue 2: events between the services and to other systems."""
