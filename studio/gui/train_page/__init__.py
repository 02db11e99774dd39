"""What the Train page is made of. `page` is loaded when it is first shown."""
