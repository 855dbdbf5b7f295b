"""The interface between the service and its tasks."""
