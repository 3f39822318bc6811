"""Commands about photographs and what can be edited in them, beside `edit` itself."""
