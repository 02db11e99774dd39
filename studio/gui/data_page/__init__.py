"""The widgets of the Data page. What they show is made by `studio.data.store`."""
